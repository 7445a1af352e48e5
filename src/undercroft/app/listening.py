"""Listening on addresses: uvicorn with its httptools protocol, and the limits on slow or endless requests it lacks."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from undercroft.app.notation import Address

# The request line and headers together (bytes).
LONGEST_HEAD = 64 * 1_024
KEEP_ALIVE = 75
BACKLOG = 2_048


class _Protocol(HttpToolsProtocol):
    """Knows since when it waits for the rest of a request, and how long its head is."""

    reading_since: float | None = None
    _head: int | None = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.reading_since = self.loop.time()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.reading_since = self.loop.time()
        self._head = 0

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.reading_since = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n")
                self.transport.close()


class Listener(uvicorn.Server):
    """Serves the application until `stop`."""

    def __init__(self, application: Any, request_timeout: float, grace: float) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=int(grace) or None,
                backlog=BACKLOG,
            )
        )
        self._request_timeout = request_timeout

    async def listen(self, sockets: list[socket.socket]) -> None:
        watch = asyncio.create_task(self._hang_up_on_the_slow())
        try:
            await self.serve(sockets)
        finally:
            watch.cancel()

    def stop(self) -> None:
        """Accept no more, let the requests under way end."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the node's."""
        yield

    async def _hang_up_on_the_slow(self) -> None:
        while True:
            await asyncio.sleep(1)
            late = asyncio.get_running_loop().time() - self._request_timeout
            for connection in list(self.server_state.connections):
                since = getattr(connection, "reading_since", None)
                if since is not None and since < late:
                    connection.transport.abort()


def bind(address: Address) -> socket.socket:
    """A listening socket.

    Raises OSError: the address is taken, or not this machine's.
    """
    if address.path:
        path = Path(address.path)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        path.chmod(0o660)
    else:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address.host, address.port))
    listening.setblocking(False)
    return listening


def shown(listening: socket.socket) -> str:
    name = listening.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _remove_stale(path: Path) -> None:
    """A socket that nobody listens on any more; one that answers is left alone, and the bind fails."""
    if not path.is_socket():
        return
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    finally:
        probe.close()
