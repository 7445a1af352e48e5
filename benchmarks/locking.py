"""Locks over HTTP: clients that each obtain and release, again and again, and how long every pair took.

As raw as `load.py`, and the same for ours and for etcd's gateway, so that what is measured is the servers'.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from typing import cast

import uvloop

from benchmarks.load import LENGTH
from benchmarks.measures import Pairs
from benchmarks.processes import Unable

Script = Generator[bytes, bytes, None]
"""What one client says: it yields a request, is sent the answer, and so on."""


def pairs(port: int, script: Callable[[int], Script], clients: int, seconds: float, requests: int = 2) -> Pairs:
    """Client n follows `script(n)`, in which so many `requests` are a pair, until the time is over.

    Unable at the first answer but 200.
    """
    return uvloop.run(_pairs(port, script, clients, seconds, requests))


async def _pairs(port: int, script: Callable[[int], Script], clients: int, seconds: float, requests: int) -> Pairs:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    crew = [Client(script(number), requests, took, began + seconds) for number in range(clients)]
    await asyncio.gather(*(loop.create_connection(lambda c=c: c, "127.0.0.1", port) for c in crew))  # type: ignore[misc]
    await asyncio.gather(*(client.finished for client in crew))
    for client in crew:
        client.transport.close()
    return Pairs(took, time.perf_counter() - began, time.process_time() - cpu)


class Client(asyncio.Protocol):
    """One keep-alive connection. A pair that was begun is ended, so that no lock is left behind."""

    def __init__(self, script: Script, requests: int, took: list[float], until: float) -> None:
        self.script = script
        self.requests = self.left = requests
        self.took = took
        self.until = until
        self.began = 0.0
        self.received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.began = time.perf_counter()
        self.transport.write(next(self.script))

    def data_received(self, data: bytes) -> None:
        answer = self.received = self.received + data if self.received else data
        head = answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(answer, 0, head + 2)
        if length is None or not answer.startswith(b"HTTP/1.1 200"):
            self.fail(answer.decode(errors="replace")[:600])
        elif len(answer) >= head + 4 + int(length[1]):
            self.received = b""
            self.answered(answer)

    def answered(self, answer: bytes) -> None:
        self.left -= 1
        if not self.left:
            now = time.perf_counter()
            self.left = self.requests
            self.took.append((now - self.began) * 1000)
            self.began = now
            if now >= self.until:
                self.finished.set_result(None)
                return
        try:
            self.transport.write(self.script.send(answer))
        except Unable as reason:
            self.fail(str(reason))

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(f"the server closed the connection: {error}")

    def fail(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(Unable(why))


def found(answer: bytes, before: bytes, after: bytes) -> bytes:
    """What stands between these words; Unable where it does not."""
    start = answer.find(before)
    if start < 0:
        raise Unable(f"no {before.decode()} in {answer.decode(errors='replace')[:300]}")
    start += len(before)
    return answer[start : answer.index(after, start)]
