"""Listening on addresses, keeping watch over connections, and closing in order."""

import asyncio
import socket
from email.utils import formatdate
from pathlib import Path

from undercroft.app.application import Application
from undercroft.app.connection import Connection, Shared
from undercroft.app.large_bodies import LargeBodies
from undercroft.app.notation import Address

# An idle connection is kept this long (s).
KEEP_ALIVE = 75.0
BACKLOG = 2_048


class Listener:
    """Serves an application on sockets from `start` to `stop`."""

    def __init__(self, application: Application, request_timeout: float, most: int = 10_000) -> None:
        """`request_timeout`: within this time (s) a whole request must have arrived; `most` connections at once."""
        self._request_timeout = request_timeout
        self._connections: set[Connection] = set()
        self._date = _date()
        self._shared = Shared(
            application, self._connections, lambda: self._date, most, LargeBodies(application.max_body)
        )
        self._servers: list[asyncio.Server] = []

    @property
    def held_bytes(self) -> int:
        """Of large bodies that are being read or answered."""
        return self._shared.bodies.bytes

    async def start(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for listening in sockets:
            # uvloop takes a Unix socket through the same door as the others.
            server = await loop.create_server(lambda: Connection(self._shared), sock=listening, backlog=BACKLOG)
            self._servers.append(server)

    async def stop(self, grace: float) -> None:
        """Accept no more, let requests under way end within `grace` seconds, then hang up."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.stop()
        closed = [connection.closed for connection in self._connections]
        if closed:
            await asyncio.wait(closed, timeout=grace)
        for connection in list(self._connections):
            connection.abort()

    async def keep_watch(self, _now: int) -> bool:
        """A step, each second: the date for replies, and who has kept us waiting for too long."""
        loop = asyncio.get_running_loop()
        self._date = _date()
        slow, idle = loop.time() - self._request_timeout, loop.time() - KEEP_ALIVE
        for connection in list(self._connections):
            late = connection.reading_since is not None and connection.reading_since < slow
            unused = connection.idle_since is not None and connection.idle_since < idle
            stuck = connection.stalled_since is not None and connection.stalled_since < slow
            if stuck or ((late or unused) and not connection.is_busy()):
                connection.abort()
        return False


def bind(address: Address) -> socket.socket:
    """A socket to listen on.

    Raises OSError: the address is taken, or not this machine's.
    """
    if address.path:
        return _bind_path(Path(address.path))
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        raise OSError(f"can't listen on {address.host}:{address.port}: {error.strerror}") from None
    listening.setblocking(False)
    return listening


def shown(listening: socket.socket) -> str:
    name = listening.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _bind_path(path: Path) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    path.chmod(0o660)
    listening.setblocking(False)
    return listening


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


def _date() -> bytes:
    return formatdate(usegmt=True).encode()
