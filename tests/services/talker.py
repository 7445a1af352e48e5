"""An HTTP server on a loopback port that says whatever a test likes, without an end where that is liked."""

import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Say = Callable[[str, str], tuple[int, Iterable[bytes]]]
"""Method and path → status and body."""


class Talker:
    """A context manager. `said` counts the bytes of all bodies, `asked` has methods and paths."""

    def __init__(self, say: Say) -> None:
        self.said = 0
        self.asked: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"talker": self}))
        self._server.daemon_threads = True
        self.say = say
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    talker: Talker

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.talker.asked.append((self.command, self.path))
        status, blocks = self.talker.say(self.command, self.path)
        self.send_response(status)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for block in blocks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
                self.talker.said += len(block)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # who asked has heard enough
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...
