"""Requests that take their time: content that is sent, and what a server has work with, such as a copy.

No clock runs against bytes that move. What counts is how long nothing is taken, and then, when all was handed over, how
long the answer may take. The HTTP client's own time for an answer begins with the request, so that nothing which takes
longer to be sent would ever arrive; and who keeps a body waiting in the client's thread keeps all others waiting. So
these are asked in a loop of their own.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple, Self

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response

from undercroft.families.sync.storages.storage import freely
from undercroft.families.sync.storages.told_headers import told_headers

SILENCE = timedelta(seconds=300)
"""Of a server that has nothing to do but to answer. When the last of a body is handed over, up to 5 MiB are still on
their way, and have to be through by then: 18 kB/s."""
TAKEN_WITHIN = timedelta(seconds=60)
"""Something of what is sent."""
SLOWEST_WORK = 2**20
"""Bytes a second that a server stores, copies or moves."""
LONGEST_WORK = timedelta(days=1)

SMALLEST_BLOCK, LARGEST_BLOCK = 2**12, 2**18
_FIRST_BLOCK = 2**14
# A block is to take so many seconds at most: a server takes who is silent for longer for gone.
_A_BLOCK = 0.5
# So often (s) it is asked whether anybody wants it still.
_A_LOOK = 0.5


def answer_within(work: int) -> timedelta:
    """How long a server may be at so many bytes before it answers."""
    return min(SILENCE + timedelta(seconds=work / SLOWEST_WORK), LONGEST_WORK)


class Outgoing(NamedTuple):
    """A body. `require_wanted` raises where nobody wants it any more; so may reading a block."""

    blocks: Iterable[bytes | memoryview]
    size: int
    require_wanted: Callable[[int], object] = freely


class Told(NamedTuple):
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class LongRequests:
    """For one thread. `set_up` gives how its client is to be, without clocks for answers."""

    def __init__(self, set_up: Callable[[], ClientBuilder]) -> None:
        self._set_up = set_up
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None

    def request(self, method: str, url: str) -> RequestBuilder:
        if self._client is None:
            self._client = self._set_up().tcp_user_timeout(TAKEN_WITHIN).build()
        return self._client.request(method, url)

    def ask(self, request: RequestBuilder, body: Outgoing | None, work: int, longest: int = 0) -> Told:
        """`work`: bytes that the server has to do with; `longest`: no more than so many bytes of the answer's body are
        read, and one more. Raises PyreqwestError, TimeoutError, and what `body` raises."""
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
        return self._loop.run_until_complete(_asked(request, body, work, longest))

    def close(self) -> None:
        client, self._client = self._client, None
        loop, self._loop = self._loop, None
        if loop is not None:
            if client is not None:
                loop.run_until_complete(client.close())
            loop.close()


def paced_blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Of what is read at a pace: smaller ones where each is waited for."""
    size = _FIRST_BLOCK
    while True:
        began = time.monotonic()
        block = read(size)
        if not block:
            return
        yield block
        took = max(time.monotonic() - began, 0.001)
        # Not ever smaller: other lanes' bytes may be what is waited for.
        size = max(SMALLEST_BLOCK, min(int(size * min(2.0, _A_BLOCK / took)), LARGEST_BLOCK))


def cut(body: bytes | bytearray) -> Iterator[memoryview]:
    """In blocks."""
    with memoryview(body) as view:
        for at in range(0, len(view), LARGEST_BLOCK):
            yield view[at : at + LARGEST_BLOCK]


# Parts


async def _asked(request: RequestBuilder, body: Outgoing | None, work: int, longest: int) -> Told:
    """As long as it is wanted."""
    answering = asyncio.ensure_future(_answered(request, body, work, longest))
    try:
        while not (await asyncio.wait({answering}, timeout=_A_LOOK))[0]:
            if body is not None:
                body.require_wanted(0)
    except BaseException:
        answering.cancel()
        await asyncio.wait({answering})
        raise
    return answering.result()


async def _answered(request: RequestBuilder, body: Outgoing | None, work: int, longest: int) -> Told:
    async with asyncio.timeout(None) as clock:
        sending = _Sending(body or Outgoing((), 0), clock, answer_within(work))
        if body is not None:
            request = request.header("content-length", str(body.size)).body_stream(sending)
        async with request.build_streamed() as response:
            headers = told_headers(response.headers)
            return Told(response.status, headers, await _body(response, clock, longest))


async def _body(response: Response, clock: asyncio.Timeout, longest: int) -> bytes:
    body = bytearray()
    while len(body) <= longest and longest:
        _set(clock, SILENCE)
        block = await response.body_reader.read_chunk()
        if block is None:
            break
        body += block
    return bytes(body)


class _Sending:
    """A body as the client wants it. That it asks for the next block says that the last one was taken."""

    def __init__(self, body: Outgoing, clock: asyncio.Timeout, answer_within: timedelta) -> None:
        self._blocks = iter(body.blocks)
        self._left = body.size
        self._clock, self._answer_within = clock, answer_within
        self._wind()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        block = next(self._blocks, None)
        if block is None:
            raise StopAsyncIteration
        self._left -= len(block)
        self._wind()
        return block

    def _wind(self) -> None:
        _set(self._clock, SILENCE if self._left > 0 else self._answer_within)


def _set(clock: asyncio.Timeout, within: timedelta) -> None:
    clock.reschedule(asyncio.get_running_loop().time() + within.total_seconds())
