"""Open connections to receivers, kept for the next delivery; each new one goes to a freshly checked address."""

import asyncio
import socket
import ssl
from collections import deque
from typing import Any, NamedTuple

from undercroft.machinery.deliveries.webhook.connection import Answer, Connection, NoAnswer
from undercroft.machinery.deliveries.webhook.guard import FOR_ALL, resolve

IDLE_SECONDS = 30.0
MOST_IDLE_PER_ORIGIN = 64
MOST_IDLE = 1_024


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class _Idle(NamedTuple):
    since: float
    connection: Connection


class Pool:
    def __init__(self, *, allow_private: bool, setting: str = FOR_ALL, tls: ssl.SSLContext | None = None) -> None:
        """`setting`: the one by which `allow_private` is chosen."""
        self._allow_private = allow_private
        self._setting = setting
        self._tls = tls or ssl.create_default_context()
        self._idle: dict[Origin, deque[_Idle]] = {}
        self._idle_count = 0
        self._looking: dict[Origin, asyncio.Future[list[tuple[int, tuple[str, int]]]]] = {}

    async def exchange(self, origin: Origin, request: bytes, timeout: float) -> Answer:
        """Send the request to the origin over an idle or a new connection.

        A kept connection may have been closed by the other side just before we wrote: then once more over a new
        one, which at-least-once delivery allows. Raises AddressRefused, NoAnswer, TimeoutError, OSError.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        kept = self._take_idle(origin)
        if kept is not None:
            try:
                return await self._over(kept, origin, request, timeout)
            except NoAnswer as error:
                if not error.untouched:
                    raise
        async with asyncio.timeout_at(deadline):
            fresh = await self._connect(origin)
        left = deadline - asyncio.get_running_loop().time()
        return await self._over(fresh, origin, request, max(left, 0.001))

    def close_idle(self, *, older_than: float = IDLE_SECONDS) -> None:
        """Hang up on connections unused for this long (s); called from time to time."""
        now = asyncio.get_running_loop().time()
        for origin in list(self._idle):
            waiting = self._idle[origin]
            while waiting and (now - waiting[0].since >= older_than or not waiting[0].connection.is_open):
                waiting.popleft().connection.close()
                self._idle_count -= 1
            if not waiting:
                del self._idle[origin]

    async def _over(self, connection: Connection, origin: Origin, request: bytes, timeout: float) -> Answer:
        answer = await connection.exchange(request, timeout)
        self._keep(origin, connection)
        return answer

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin)
        tls = self._tls if origin.scheme == "https" else None
        last: Exception = OSError("no address")
        for family, address in addresses:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(connection, address)
                name = origin.host if tls else None
                _, protocol = await loop.create_connection(Connection, sock=connection, ssl=tls, server_hostname=name)
                return protocol
            except OSError as error:
                connection.close()
                last = error
            except BaseException:
                connection.close()
                raise
        raise last

    async def _addresses(self, origin: Origin) -> list[tuple[int, tuple[str, int]]]:
        """One look-up per origin at a time: those of a name that hangs would take every thread that looks up names."""
        looking = self._looking.get(origin)
        if looking is None:
            looking = asyncio.ensure_future(
                resolve(origin.host, origin.port, allow_private=self._allow_private, setting=self._setting)
            )
            self._looking[origin] = looking
            looking.add_done_callback(lambda done: self._looked_up(origin, done))
        return await asyncio.shield(looking)

    def _looked_up(self, origin: Origin, done: "asyncio.Future[Any]") -> None:
        del self._looking[origin]
        if not done.cancelled():
            done.exception()  # seen, though everybody who asked may have gone

    def _take_idle(self, origin: Origin) -> Connection | None:
        waiting = self._idle.get(origin)
        while waiting:
            self._idle_count -= 1
            connection = waiting.pop().connection  # the warmest
            if connection.is_open:
                return connection
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        waiting = self._idle.setdefault(origin, deque())
        if not connection.is_open or len(waiting) >= MOST_IDLE_PER_ORIGIN or self._idle_count >= MOST_IDLE:
            connection.close()
            return
        waiting.append(_Idle(asyncio.get_running_loop().time(), connection))
        self._idle_count += 1
