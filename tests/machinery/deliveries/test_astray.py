"""The database goes away just when a claim is made or given back: what it leaves claimed is fetched back when it is
there again, and not when its lease is over."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.machinery.deliveries.making import Clock
from tests.machinery.deliveries.rig import Rig, running
from undercroft.base.refusals import Refusal, unavailable
from undercroft.machinery.deliveries import claims, settling, targets
from undercroft.machinery.deliveries import courier as couriers
from undercroft.machinery.deliveries.model import State
from undercroft.machinery.deliveries.upkeep import leave

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with running(database_url, Clock()) as rig:
        yield rig


class Trouble:
    """Calls of this action fail so often: before they are made, or after they were committed."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch, action: str, times: int, *, after: bool) -> None:
        self._write = rig.database.write
        self._action, self._left, self._after = action, times, after
        monkeypatch.setattr(rig.database, "write", self.write)

    async def write(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        if action.__name__ != self._action or not self._left:
            return await self._write(action, *args, **kwargs)
        self._left -= 1
        if self._after:
            await self._write(action, *args, **kwargs)
        raise unavailable("away")


@pytest.mark.parametrize("after", [False, True])
async def test_a_claim_of_which_nobody_knows_whether_it_was_made(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    await rig.make(4)
    Trouble(rig, monkeypatch, "claim_due", 2, after=after)

    for _ in range(2):
        await rig.upkeep.look_ahead(rig.clock())
        with pytest.raises(Refusal, match="away"):
            await rig.courier.fire_due()
    await rig.fire()

    assert Counter(rig.transport.jobs) == {f"job{n}": 1 for n in range(4)}
    assert await rig.states() == {State.DELIVERED: 4}
    assert rig.courier._astray == {}


@pytest.mark.parametrize("after", [False, True])
async def test_what_could_not_be_given_back_is_sent_as_soon_as_it_can(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    await rig.make(3, concurrency=1)
    rig.transport.hanging.add("hook")
    await rig.fire()
    Trouble(rig, monkeypatch, "put_back", 1, after=after)
    Trouble(rig, monkeypatch, "fetch_back", 2, after=after)

    await rig.database.write(lambda tx: tx.tell(targets.CHANGED, [1]))  # what stands in line is given back
    await rig.let_go_on()
    for _ in range(2):
        with pytest.raises(Refusal, match="away"):
            await rig.courier.fire_due()
    rig.transport.go_on.set()
    await rig.fire()

    assert Counter(rig.transport.jobs) == {f"job{n}": 1 for n in range(3)}
    assert await rig.states() == {State.DELIVERED: 3}


async def test_a_claim_that_was_made_anew_is_not_fetched_back(rig: Rig) -> None:
    [id] = await rig.make(1)
    rig.transport.hanging.add("hook")
    await rig.fire()
    lease = (await rig.row(id)).due_at

    assert await rig.database.write(claims.fetch_back, [(id, lease - 1)], "one", rig.clock()) == 0
    assert await rig.database.write(claims.fetch_back, [(id, lease)], "another", rig.clock()) == 0
    assert (await rig.row(id)).state == State.SENDING


async def test_who_leaves_with_something_in_its_hands_is_missed_by_the_others(rig: Rig) -> None:
    """They fetch it when its counter stands still, not when the lease is over."""
    await rig.make(1)
    rig.transport.hanging.add("hook")
    await rig.upkeep.heartbeat(rig.clock())
    await rig.fire()

    await rig.database.write(leave, "one")
    assert await rig.database.read(lambda tx: tx.all("SELECT name FROM nodes")) == [("one",)]

    rig.transport.go_on.set()
    await rig.let_go_on()
    await rig.database.write(leave, "one")
    assert await rig.database.read(lambda tx: tx.all("SELECT name FROM nodes")) == []


async def test_with_enough_unsettled_it_rests_until_some_are_settled(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due meanwhile is no reason to look again and again."""
    monkeypatch.setattr(settling, "MOST_UNSETTLED", 0)
    monkeypatch.setattr(settling, "PAUSE", 60)
    monkeypatch.setattr(couriers, "LONGEST_SLEEP", 60)
    Trouble(rig, monkeypatch, "settle_tried", 1, after=False)
    await rig.make(1)
    await rig.upkeep.look_ahead(rig.clock())
    await rig.courier.fire_due()
    await asyncio.wait_for(rig.courier.settling.woken.wait(), 20)
    await rig.make(1, prefix="due")
    rig.courier._woken.clear()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await rig.courier._sleep()
