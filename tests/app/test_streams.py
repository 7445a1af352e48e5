"""A reply that comes piece by piece is closed in the end: sent or not, begun or not, soon when its client goes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.services.waiting import until
from undercroft.app.application import Head
from undercroft.app.listening import Listener
from undercroft.machinery.operations import Reply

pytestmark = pytest.mark.anyio

PIECE = b"x" * 1_000


class Pieces:
    """A thousand bytes, and then, where it is `endless`, nothing more for ever."""

    def __init__(self, *, endless: bool = False) -> None:
        self.asked = 0
        self.closed = 0
        self.length = 2 * len(PIECE) if endless else len(PIECE)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.asked += 1
        if self.asked == 1:
            return PIECE
        if self.length > len(PIECE):
            await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class Streaming:
    """Answers each request with the pieces of the moment, as soon as it may."""

    max_body = 100

    def __init__(self) -> None:
        self.pieces = Pieces()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def most_body(self, head: Head) -> int:
        return self.max_body

    async def admit(self, head: Head) -> Reply | None:
        return None

    async def answer(self, head: Head, body: bytes) -> Reply:
        self.asked.set()
        await self.may_answer.wait()
        return Reply(200, b"", stream=self.pieces, length=self.pieces.length)

    def refuse_unread(self, status: int, message: str, url: bytes) -> Reply:
        return Reply(status, message.encode())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def asked(
    application: Streaming, method: bytes = b"GET"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Listener]]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    listener = Listener(application, request_timeout=60)
    await listener.start([listening])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"%b / HTTP/1.1\r\nHost: x\r\n\r\n" % method)
        yield reader, writer, listener
    finally:
        writer.close()
        await listener.stop(0)


async def test_of_head_nothing_is_asked_for_and_it_is_closed() -> None:
    application = Streaming()
    async with asked(application, b"HEAD") as (reader, writer, _):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 1000\r\n" in head
        await until(lambda: application.pieces.closed, "it to be closed")
        assert (application.pieces.asked, application.pieces.closed) == (0, 1)
        before, application.pieces = application.pieces, Pieces()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(PIECE)).endswith(b"\r\n\r\n" + PIECE), "the connection goes on"
        assert before.closed == 1


async def test_what_was_sent_is_closed_once() -> None:
    application = Streaming()
    async with asked(application) as (reader, _, _):
        await reader.readuntil(PIECE)
        await until(lambda: application.pieces.closed, "it to be closed")
    assert application.pieces.closed == 1


async def test_of_a_client_that_has_gone_before_the_answer_it_is_closed_unasked() -> None:
    application = Streaming()
    application.may_answer.clear()
    async with asked(application) as (_, writer, listener):
        await application.asked.wait()
        writer.close()
        await until(lambda: not listener._connections, "the server to notice")
        application.may_answer.set()
        await until(lambda: application.pieces.closed, "it to be closed")
    assert (application.pieces.asked, application.pieces.closed) == (0, 1)


@pytest.mark.parametrize("end", [lambda writer, _: writer.close(), lambda _, listener: listener.stop(0)])
async def test_who_waits_for_the_next_piece_and_goes_is_not_waited_for(
    end: Callable[[asyncio.StreamWriter, Listener], object],
) -> None:
    """Also where the server stops."""
    application = Streaming()
    application.pieces = Pieces(endless=True)
    async with asked(application) as (reader, writer, listener):
        await reader.readuntil(PIECE)
        assert application.pieces.closed == 0
        ending = end(writer, listener)
        if asyncio.iscoroutine(ending):
            await ending
        await until(lambda: application.pieces.closed, "it to be closed")
    assert (application.pieces.asked, application.pieces.closed) == (2, 1)
