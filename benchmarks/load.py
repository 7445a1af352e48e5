"""Many HTTP clients at once, each sending its next prepared request when the last was answered.

Raw on purpose: a few µs of CPU per request, so that on a small machine the measure is the server's, not ours.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import uvloop

from benchmarks.processes import Unable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass
class Load:
    """Answers with status 200, 201 or 202, how many seconds they took, CPU seconds of the clients themselves."""

    answered: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


def load(port: int, requests: Iterator[bytes], clients: int, seconds: float = float("inf")) -> Load:
    """Sends until the time is over or the requests are used up; Unable at the first other answer."""
    return uvloop.run(_load(port, requests, clients, seconds))


async def _load(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    tally = Load()
    began, cpu = time.perf_counter(), time.process_time()
    crew = [Client(requests, tally, began + seconds) for _ in range(clients)]
    await asyncio.gather(*(loop.create_connection(lambda c=c: c, "127.0.0.1", port) for c in crew))  # type: ignore[misc]
    await asyncio.gather(*(client.finished for client in crew))
    tally.seconds, tally.cpu = time.perf_counter() - began, time.process_time() - cpu
    for client in crew:
        client.transport.close()
    return tally


class Client(asyncio.Protocol):
    """One keep-alive connection in a closed loop."""

    def __init__(self, requests: Iterator[bytes], tally: Load, until: float) -> None:
        self.requests = requests
        self.tally = tally
        self.until = until
        self.received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        request = next(self.requests, None) if time.perf_counter() < self.until else None
        if request is not None:
            self.transport.write(request)
        elif not self.finished.done():
            self.finished.set_result(None)

    def data_received(self, data: bytes) -> None:
        answer = self.received = self.received + data if self.received else data
        head = answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(answer, 0, head + 2)
        if length is None or not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")):
            self.fail(answer.decode(errors="replace")[:600])
        elif len(answer) >= head + 4 + int(length[1]):
            self.received = b""
            self.tally.answered += 1
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(f"the server closed the connection: {error}")

    def fail(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(Unable(why))
