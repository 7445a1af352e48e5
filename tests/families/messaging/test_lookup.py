"""The service that knows addresses is asked over connections that are kept, and that end when the server stops."""

import asyncio

import pytest

from tests.families.messaging.house import opened

pytestmark = pytest.mark.anyio
ANSWER = b'{"results":[{"address":"+27820001001"}]}'


async def test_who_was_asked_for_addresses_is_hung_up_on(sqlite_url: str) -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
        asked.set()
        await reader.read()
        hung_up.set()
        writer.close()

    service = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"
    async with opened(sqlite_url, really=True, messaging_identity_url=url) as house:
        await house.make_series()
        await house.call("POST", f"subscriptions/{await house.subscribe('ann')}/send")
        await house.go_on()
        assert asked.is_set() and not hung_up.is_set()
        assert house.parts.lookup is not None
        await house.parts.lookup.close()
        async with asyncio.timeout(20):
            await hung_up.wait()
    service.close()
