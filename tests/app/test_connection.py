"""What connections share: the room for large bodies."""

import asyncio
import socket

import pytest

from undercroft.app.application import Head
from undercroft.app.large_bodies import LARGEST_AT_ONCE
from undercroft.app.listening import Listener
from undercroft.machinery.operations import Reply

pytestmark = pytest.mark.anyio

MOST = 100_000
NEARLY = MOST - 1


class Echo:
    """Answers with the size of the body."""

    max_body = MOST

    def most_body(self, head: Head) -> int:
        return self.max_body

    async def admit(self, head: Head) -> Reply | None:
        return None

    async def answer(self, head: Head, body: bytes) -> Reply:
        return Reply(200, b"%d" % len(body))

    def refuse_unread(self, status: int, message: str, url: bytes) -> Reply:
        return Reply(status, message.encode())


async def begin(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request of which the last byte is missing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MOST + b" " * NEARLY)
    await writer.drain()
    return reader, writer


async def status_of(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readline()).split(b" ")[1]


async def until_held(listener: Listener, bodies: int) -> None:
    async with asyncio.timeout(20):
        while listener.held_bytes != bodies * NEARLY:  # noqa: ASYNC110 - a count, no event
            await asyncio.sleep(0.001)


async def test_of_large_bodies_a_few_are_held_at_once() -> None:
    """Eight that lack their ends leave no room for a ninth; once one of them is answered or gone, there is again."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    listener = Listener(Echo(), request_timeout=60)
    await listener.start([listening])
    try:
        first = [await begin(port) for _ in range(LARGEST_AT_ONCE)]
        await until_held(listener, LARGEST_AT_ONCE)

        ninth = await begin(port)
        assert await status_of(ninth[0]) == b"503"

        answered, gone = first[0], first[1]
        answered[1].write(b" ")
        assert await status_of(answered[0]) == b"200"
        gone[1].transport.abort()
        await until_held(listener, LARGEST_AT_ONCE - 2)
        for _ in range(2):
            reader, writer = await begin(port)
            writer.write(b" ")
            assert await status_of(reader) == b"200"
    finally:
        await listener.stop(0)
