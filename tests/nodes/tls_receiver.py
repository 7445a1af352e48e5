"""A receiver that speaks TLS with a certificate for 127.0.0.1 that nobody trusts unasked."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Made for these tests, for a hundred years, and trusted by nothing else.
FOLDER = Path(__file__).parent / "certificates"
CERTIFICATE = FOLDER / "certificate.pem"


class TlsReceiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.bodies: list[bytes] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, FOLDER / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def url(self, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.server_port}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that does not trust us hangs up: the tests read what it says of that."""


@contextmanager
def tls_receiver() -> Iterator[TlsReceiver]:
    with TlsReceiver() as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
        yield receiver
        receiver.shutdown()


class _Requests(BaseHTTPRequestHandler):
    server: TlsReceiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The tests read `bodies`."""
