"""PostgreSQL commits, and its answer never comes: whoever asked for a lock, or gave one back, is told what was done."""

import asyncio
import json
from typing import Any

import pytest

from tests.families.timers.shop import TOKEN, Shop, opened
from tests.nodes.relay import Relay
from undercroft.app.application import Head
from undercroft.database.postgres import engine

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(shop: Shop, method: str, path: str, body: Any = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    reply = await shop.parts.server.answer(Head(method, path.encode(), {b"authorization": TOKEN.encode()}, None), data)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


async def stands_in_line(shop: Shop) -> None:
    for _ in range(1_000):
        if (await ask(shop, "GET", "/systems/locks/a"))["waiters"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody ever stood in line")


@pytest.mark.parametrize("force", ["", "?force=1"])
async def test_a_lock_is_given_back_once_and_its_next_holder_keeps_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, force: str
) -> None:
    monkeypatch.setattr(engine, "PAUSE", 0.0)
    async with Relay.to(postgres_url) as relay, opened(relay.url) as shop:
        relay.lose_each_answer()
        first = await ask(shop, "POST", "/systems/locks", {"name": "a", "details": True})
        waiting = asyncio.create_task(
            ask(shop, "POST", "/systems/locks", {"name": "a", "wait": 30, "owner": "second", "details": True})
        )
        await stands_in_line(shop)
        lost = relay.swallowed

        assert await ask(shop, "DELETE", f"/systems/locks/a{force}") == {"lock_removed": True}

        second = await waiting
        assert relay.swallowed > lost >= 2
        assert first["lock_obtained"] and second["lock_obtained"] and second["fence"] > first["fence"]
        held = await ask(shop, "GET", "/systems/locks/a")
        assert (held["owner"], held["fence"]) == ("second", second["fence"])
