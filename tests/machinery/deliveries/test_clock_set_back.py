"""The wall clock is set back under a courier: what it was about to do it does by the new time, and no later."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.machinery.deliveries.making import NOW, Clock, make_queue, make_target, put_in
from tests.machinery.deliveries.rig import Rig, running
from undercroft.base.clock import DAY, HOUR, MINUTE, SECOND
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.policy import lease

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with running(database_url, Clock()) as rig:
        yield rig


async def look_ahead(rig: Rig) -> None:
    while await rig.upkeep.look_ahead(rig.clock()):
        pass


@pytest.mark.parametrize("step", [1, 50, 2 * SECOND, HOUR])
async def test_what_stands_in_a_lane_at_that_moment_is_sent_at_its_time(rig: Rig, step: int) -> None:
    """By the new time it is not due yet, so the claim leaves it alone: its hint must not be lost with that."""
    await rig.make(1)
    await look_ahead(rig)
    rig.courier.lanes.add(rig.courier.horizon.pop_due(NOW, 10))

    rig.clock.now -= step
    while await rig.courier.fire_due():
        pass
    assert rig.transport.sent == []

    rig.clock.now = NOW
    await rig.courier.fire_due()
    await rig.let_go_on()
    assert rig.transport.at == [NOW]


@pytest.mark.parametrize("step", [10 * SECOND, HOUR, DAY])
async def test_what_another_node_makes_is_looked_for_by_the_new_time(rig: Rig, step: int) -> None:
    await look_ahead(rig)
    rig.clock.now -= step
    await look_ahead(rig)
    due = rig.clock.now + MINUTE // 10

    def make(tx: Any) -> None:
        tx.tell = lambda _topic, _items: None
        put_in(tx, 1, queue=make_queue(tx), target=make_target(tx).id, planned_at=due, now=rig.clock.now)

    await rig.database.write(make)
    rig.clock.now = due
    await rig.fire()

    assert rig.transport.at == [due]


async def test_little_is_kept_in_memory_after_it(rig: Rig) -> None:
    """What is due within the hour by which it went back is not near."""
    await look_ahead(rig)
    rig.clock.now -= HOUR
    await look_ahead(rig)

    await rig.make(5, planned_at=rig.clock.now + MINUTE, now=rig.clock.now)

    assert len(rig.courier.horizon) == 0
    rig.clock.now += MINUTE
    await rig.fire()
    assert len(rig.transport.sent) == 5


async def test_a_lease_is_never_much_longer_than_it_should_be(rig: Rig) -> None:
    """Else what is lost with this node waits for as long as the clock was wrong."""
    rig.transport.hanging.add("hook")
    await rig.make(1)
    rig.clock.now += DAY
    await rig.fire()
    rig.clock.now = NOW
    [second] = await rig.make(1, prefix="second")
    await rig.fire()

    assert (await rig.row(second)).due_at - NOW <= lease(LONGEST_TIMEOUT) + MINUTE
