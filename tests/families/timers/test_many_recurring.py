"""Recurring jobs by the hundred: few statements, and turns for others."""

import asyncio
from typing import Any

import pytest

from tests.families.timers.shop import Shop
from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import HOUR
from undercroft.database import Transaction
from undercroft.families.timers.http import jobs as jobs_http
from undercroft.families.timers.runs import spawn_due
from undercroft.machinery import recurrence
from undercroft.machinery.deliveries import claims, store

pytestmark = pytest.mark.anyio


async def test_many_that_come_together_are_spawned_in_few_statements(shop: Shop) -> None:
    jobs = [{"id": f"tick{n}", "cron": "* * * * *", "route": "hook", "meta": n} for n in range(400)]
    assert (await shop.call("POST", "/job/shop/orders", jobs)).status == 200
    rows = [await shop.database.read(store.find_one, 1, f"tick{n}") for n in range(400)]
    counting = Counting()

    def spawn(tx: Transaction) -> None:
        counting.tx = tx
        spawn_due(
            counting, claims.claim(tx, [row.id for row in rows if row], "one", NOW + HOUR, NOW + HOUR), NOW + HOUR
        )

    await shop.database.write(spawn)

    assert counting.statements < 10
    runs = [job for job in await shop.listed() if "@" in job["id"]]
    assert {job["id"]: job["meta"] for job in runs} == {f"tick{n}@2023-11-14T10:01:00Z": n for n in range(400)}


class Counting:
    """A transaction that counts its statements."""

    def __init__(self) -> None:
        self.tx: Any = None
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        self.statements += name != "tell"
        return getattr(self.tx, name)


async def test_while_a_bulk_of_schedules_is_checked_others_have_their_turn(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_http, "CHECKED_AT_ONCE", 10)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    for query in ("", "?report=1"):
        begun = turns
        wrong = [{"id": f"t{n}", "cron": f"{n % 60} * * * *", "route": "hook"} for n in range(500)] + [{"id": 7}]
        answer = await shop.call("POST", f"/job/shop/orders{query}", wrong if query else wrong[:-1])
        assert answer.status == 200
        assert turns - begun > 45
    waiting.cancel()


async def test_one_schedule_is_worked_out_once(shop: Shop) -> None:
    recurrence._next_second.cache_clear()
    jobs = [{"id": f"t{n}", "cron": "5 4 * * *", "timezone": "Europe/Berlin", "route": "hook"} for n in range(100)]

    assert (await shop.call("POST", "/job/shop/orders", jobs)).status == 200

    assert recurrence._next_second.cache_info().misses == 1
