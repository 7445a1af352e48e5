"""A host that answers slowly does not get all calls by being the place of many routes of messaging."""

import asyncio

import pytest

from tests.families.messaging.house import opened

pytestmark = pytest.mark.anyio


async def test_routes_to_one_host_share_its_limit(database_url: str) -> None:
    asked: list[str] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).split()[1].decode())
        await reader.read()
        writer.close()

    receiver = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}"
    async with opened(database_url, really=True, host_concurrency=3) as house:
        await house.made("schedule/", minute="0", hour="8")
        for number in (1, 2):
            await house.made("routes/", name=f"r{number}", url=f"{url}/{number}")
            await house.made("messageset/", short_name=f"s{number}", default_schedule=1, channel=f"webhook:r{number}")
            await house.made("message/", messageset=number, sequence_number=1, lang="eng", text_content="Hello")
            for person in range(4):
                id = await house.subscribe(f"+2782000{number}00{person}", messageset=number)
                assert (await house.call("POST", f"subscriptions/{id}/send")).status == 201
        while await house.parts.courier.fire_due():
            pass
        assert len(house.parts.courier.in_hands) == 3, "of eight that are due, on two routes"
        async with asyncio.timeout(20):
            while len(asked) < 3:  # noqa: ASYNC110 - the receiver has been called when it has
                await asyncio.sleep(0.01)
    receiver.close()
