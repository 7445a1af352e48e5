"""What was in the hands of a node that is gone is found again, and who lives is found out without comparing clocks."""

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.deliveries.rig import Rig, beat_all, claim_as, make_unheard
from undercroft.base.clock import DAY, HOUR, MINUTE
from undercroft.machinery.deliveries import claims
from undercroft.machinery.deliveries.claims import Share
from undercroft.machinery.deliveries.model import State
from undercroft.machinery.deliveries.policy import Verdict
from undercroft.machinery.deliveries.upkeep import BEAT, NODE_FORGOTTEN, NODE_GONE, leave

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_claims_of_others_are_taken_back_when_their_lease_is_over(rig: Rig) -> None:
    ids = await make_unheard(rig, 3)
    held = await claim_as(rig, "other", ids, NOW + MINUTE)

    await rig.upkeep.reclaim_expired(NOW + MINUTE - 1)
    assert await rig.states() == {State.SENDING: 3}

    rig.clock.now = NOW + MINUTE
    await rig.upkeep.reclaim_expired(rig.clock())
    await rig.fire()
    assert await rig.states() == {State.DELIVERED: 3}

    late = [(one, Verdict(State.DEAD, NOW, "too late")) for one in held]
    assert await rig.database.write(claims.settle, late) == set()
    assert await rig.states() == {State.DELIVERED: 3}


async def test_ones_own_are_taken_back_only_when_they_are_in_nobodys_hands(rig: Rig) -> None:
    await rig.make(1, "slow", prefix="slow")
    rig.transport.hanging.add("slow")
    await rig.fire()
    lost = await make_unheard(rig, 1, prefix="lost")
    await claim_as(rig, "one", lost, NOW + MINUTE)

    rig.clock.now += HOUR
    await rig.upkeep.reclaim_expired(rig.clock())

    assert (await rig.row(lost[0])).state == State.SCHEDULED
    assert await rig.states() == {State.SENDING: 1, State.SCHEDULED: 1}


async def test_at_start_a_node_takes_back_its_own_and_no_others(rig: Rig) -> None:
    mine, theirs = await make_unheard(rig, 2), await make_unheard(rig, 2, prefix="theirs")
    await claim_as(rig, "one", mine, NOW + HOUR)
    await claim_as(rig, "other", theirs, NOW + HOUR)

    assert not await rig.upkeep.reclaim_own(NOW)

    assert [(await rig.row(id)).state for id in mine + theirs] == [State.SCHEDULED] * 2 + [State.SENDING] * 2


async def test_what_a_node_that_is_gone_had_in_its_hands_is_taken_back_at_once(three: list[Rig]) -> None:
    a, b, c = three
    await beat_all(three, 2)
    ids = await make_unheard(a, 4)
    await claim_as(a, "c", ids[:2], NOW + HOUR)
    await claim_as(a, "b", ids[2:], NOW + HOUR)

    await beat_all([a, b], NODE_GONE // BEAT - 1)
    await a.upkeep.reclaim_expired(a.clock())
    assert await a.states() == {State.SENDING: 4}

    await beat_all([a, b], 2)
    await a.upkeep.reclaim_expired(a.clock())
    assert [(await a.row(id)).state for id in ids] == [State.SCHEDULED] * 2 + [State.SENDING] * 2
    assert c.courier.share == Share(2, 3)


async def test_every_living_node_has_a_share_and_shares_change_with_them(three: list[Rig]) -> None:
    a, _, c = three
    assert a.courier.share == Share(0, 1)

    await beat_all(three, 2)
    assert [rig.courier.share for rig in three] == [Share(0, 3), Share(1, 3), Share(2, 3)]

    await beat_all([a, c], NODE_GONE // BEAT + 1)
    assert [a.courier.share, c.courier.share] == [Share(0, 2), Share(1, 2)]

    await beat_all(three, 2)
    assert [rig.courier.share for rig in three] == [Share(0, 3), Share(1, 3), Share(2, 3)]


async def test_who_leaves_in_order_is_missed_at_the_next_beat(three: list[Rig]) -> None:
    a, b, c = three
    await beat_all(three, 2)

    await c.database.write(leave, "c")
    await beat_all([a, b])

    assert [a.courier.share, b.courier.share] == [Share(0, 2), Share(1, 2)]


@pytest.mark.parametrize("step", [HOUR, -HOUR, 30 * DAY])
async def test_a_clock_that_is_set_makes_nobody_look_dead(three: list[Rig], step: int) -> None:
    a = three[0]
    await beat_all(three, 2)
    ids = await make_unheard(a, 2)
    await claim_as(a, "b", ids, NOW + 60 * DAY)

    await a.upkeep.heartbeat(a.clock())
    a.clock.now += step
    await a.upkeep.heartbeat(a.clock())  # before the others have had their turn
    await a.upkeep.reclaim_expired(a.clock())

    assert a.courier.share == Share(0, 3)
    assert await a.states() == {State.SENDING: 2}


async def test_who_is_gone_for_long_is_forgotten(three: list[Rig]) -> None:
    a, _, _ = three
    await beat_all(three)

    for _ in range(NODE_FORGOTTEN // BEAT + 3):
        await a.upkeep.heartbeat(a.clock())

    names = await a.database.read(lambda tx: tx.all("SELECT name FROM nodes"))
    assert names == [("a",)]
