"""Standing in line: first come, first served; whoever is gone is passed over, and gets nothing."""

import asyncio

import pytest

from tests.machinery.leases.conftest import OpenHouse
from tests.machinery.leases.house import Clocks, House, Standing, acquire, place
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.leases import waiting
from undercroft.machinery.leases.model import ALIVE, FETCHED_WITHIN, Answer, Order, PassOn

pytestmark = pytest.mark.anyio


async def line_up(house: House, count: int, **more: object) -> list[Standing]:
    """So many who came one after the other, behind whoever holds it."""
    standing: list[Standing] = []
    for _ in range(count):
        standing.append(house.stand(**more))  # type: ignore[arg-type]
        await house.wait_for_line(len(standing))
    return standing


async def test_whoever_finds_it_free_waits_for_nothing(house: House) -> None:
    assert (await house.stand().told()).yes
    assert await house.count("lease_tickets") == 0


async def test_each_release_serves_the_next(house: House) -> None:
    held = await house.take(ttl=None)
    fences = [held.fence]
    standing = await line_up(house, 4, ttl=None)
    for number, one in enumerate(standing):
        assert all(other.waits for other in standing[number:])
        assert await house.release(held.token)
        held = await one.told()
        assert held.yes
        fences.append(held.fence)
    assert fences == sorted(set(fences))
    assert await house.release(held.token)
    assert (await house.count("leases"), await house.count("lease_tickets")) == (0, 0)


async def test_it_is_handed_over_in_the_releasing_transaction(house: House) -> None:
    """No moment lies between, in which another could take it."""
    held = await house.take(ttl=None)
    [first] = await line_up(house, 1)
    answers = await house.ask(*[acquire() for _ in range(2)])
    assert not any(answer.yes for answer in answers)
    assert await house.release(held.token)
    assert not (await house.take()).yes
    assert (await first.told()).yes


async def test_what_expires_goes_to_the_first_in_line_without_anybody_asking(house: House) -> None:
    await house.take(ttl=60)
    [first, second] = await line_up(house, 2)
    house.clocks.pass_time(60)
    assert (await first.told()).yes
    assert second.waits


async def test_whoever_comes_after_an_expiry_stands_behind_those_who_wait(house: House) -> None:
    await house.take(ttl=15_000)
    [first] = await line_up(house, 1)
    await house.leases.keep_lines(0)
    house.clocks.pass_time(9_000)
    await house.leases.keep_lines(0)
    house.clocks.pass_time(6_000)
    late = await house.take()
    assert (await first.told()).yes
    assert not late.yes


async def test_a_wait_that_is_over_ends_in_a_refusal(house: House) -> None:
    held = await house.take(ttl=None, owner="A")
    refused = await house.stand(wait=50).told()
    assert (refused.yes, refused.owner) == (False, "A")
    assert await house.in_line() == 0
    await house.release(held.token)
    assert await house.count("leases") == 0


async def test_a_client_that_hung_up_is_passed_over(house: House) -> None:
    held = await house.take(ttl=None)
    [first, second] = await line_up(house, 2)
    first.hang_up()
    await house.wait_for_line(1)
    assert not (await first.told()).yes
    assert await house.release(held.token)
    assert (await second.told()).yes


async def test_a_client_that_hangs_up_as_it_is_granted_leaves_it_to_the_next(house: House) -> None:
    """Whichever of the two comes first to our eyes."""
    for _ in range(20):
        held = await house.take(ttl=None)
        [first, second] = await line_up(house, 2, ttl=None)
        releasing = asyncio.ensure_future(house.release(held.token))
        first.hang_up()
        assert await releasing
        assert not (await first.told()).yes
        answer = await second.told()
        assert answer.yes
        assert await house.release(answer.token)
        assert await house.count("leases") == 0


async def test_a_grant_that_comes_after_its_request_has_ended_is_given_back(house: House) -> None:
    """The waiter's row is there and its request is not: as after a fault in between."""
    held = await house.take(ttl=None)
    await house.one(acquire(ttl=None, wait=20_000))
    [second] = await line_up(house, 1) if await house.in_line() == 0 else [house.stand()]
    await house.wait_for_line(2)
    assert await house.release(held.token)
    assert (await second.told()).yes


async def test_a_stopping_node_sends_those_who_wait_away_to_ask_again(house: House) -> None:
    await house.take(ttl=None)
    [first] = await line_up(house, 1)
    house.leases.close()
    with pytest.raises(Refusal) as refused:
        await first.told()
    assert refused.value.kind is Kind.UNAVAILABLE
    assert await house.in_line() == 0


async def test_the_dead_in_line_are_passed_over(open_house: OpenHouse) -> None:
    clocks = Clocks()
    dead, alive = await open_house("dead", clocks=clocks), await open_house("alive", clocks=clocks)
    held = await alive.take(ttl=None)
    await dead.one(acquire(wait=60_000))
    second = alive.stand(wait=60_000)
    await alive.wait_for_line(2)
    clocks.pass_time(ALIVE - 1)
    await alive.leases.keep_lines(0)
    clocks.pass_time(1)
    assert await alive.in_line() == 1
    assert await alive.release(held.token)
    assert (await second.told()).yes
    await alive.leases.forget_old(0)
    assert await alive.count("lease_tickets") == 0


async def test_a_node_that_starts_again_forgets_who_waited_there(open_house: OpenHouse) -> None:
    before = await open_house("a")
    await before.take(ttl=None)
    await before.one(acquire(wait=60_000))
    other = await open_house("ab")
    await other.one(acquire(wait=60_000))
    again = await open_house("a")
    await again.leases.keep_lines(0)
    assert await again.in_line() == 1, "the other node's, whose name only begins alike"


async def test_served_in_order_across_nodes(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.Leases, "_poll_if_shared", lambda _leases: None)
    clocks = Clocks()
    here, there = await open_house("here", clocks=clocks), await open_house("there", clocks=clocks)
    held = await here.take(ttl=None)
    standing = []
    for number, node in enumerate([there, here, there], 1):
        standing.append((node, node.stand(ttl=None, wait=60_000)))
        await here.wait_for_line(number)
    for node, one in standing:
        releasing = here if node is there else there
        assert await releasing.release(held.token)
        assert one.waits or node is here, "put down for it, and not fetched yet"
        await node.leases.fetch()
        held = await one.told()
        assert held.yes and held.left is None
    assert await here.release(held.token)


async def test_a_waiter_of_another_node_is_told_without_being_asked_for(open_house: OpenHouse) -> None:
    """By a short poll while anyone waits there; SQLite has one node, and needs none."""
    clocks = Clocks()
    here, there = await open_house("here", clocks=clocks), await open_house("there", clocks=clocks)
    held = await here.take(ttl=None)
    waiting_there = there.stand(ttl=None, wait=60_000)
    await here.wait_for_line(1)
    assert await here.release(held.token)
    if here.database.engine == "sqlite":
        assert not (await asyncio.wait({waiting_there.answer}, timeout=4 * waiting.POLL))[0]
        await there.leases.fetch()
    assert (await waiting_there.told()).yes


async def test_all_that_was_put_down_is_fetched_by_one_batch(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.Leases, "_poll_if_shared", lambda _leases: None)
    clocks = Clocks()
    here, there = await open_house("here", clocks=clocks), await open_house("there", clocks=clocks)
    names = [f"lock{number}" for number in range(20)]
    held = {name: await here.take(name, ttl=None) for name in names}
    standing = [there.stand(name, ttl=None, wait=60_000) for name in names]
    for name in names:
        await here.wait_for_line(1, name)
        assert await here.release(held[name].token, name)
    most_at_once = 0
    under_way = 0
    ask = there.leases._ask

    async def counted(order: Order) -> Answer:
        nonlocal most_at_once, under_way
        under_way += 1
        most_at_once = max(most_at_once, under_way)
        try:
            return await ask(order)
        finally:
            under_way -= 1

    monkeypatch.setattr(there.leases, "_ask", counted)
    await there.leases.fetch()
    assert most_at_once == len(names), "not one commit after the other"
    assert all([(await one.told()).yes for one in standing])


async def test_what_a_dead_node_does_not_fetch_goes_to_the_next(open_house: OpenHouse) -> None:
    clocks = Clocks()
    here, dead = await open_house("here", clocks=clocks), await open_house("dead", clocks=clocks)
    held = await here.take(ttl=None)
    await dead.one(acquire(ttl=None, wait=60_000))
    second = here.stand(ttl=None, wait=60_000)
    await here.wait_for_line(2)
    assert await here.release(held.token)
    clocks.pass_time(FETCHED_WITHIN - 1)
    await here.one(PassOn(place()))
    assert second.waits
    clocks.pass_time(1)
    await here.one(PassOn(place()))
    assert (await second.told()).yes


async def test_those_who_wait_for_ever_hold_nobody_up_elsewhere(house: House) -> None:
    await house.take("one", ttl=None)
    await line_up(house, 3)
    assert (await house.take("two")).yes
