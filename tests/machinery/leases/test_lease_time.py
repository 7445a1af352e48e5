"""Clocks that are set: a lease lasts as long as it was granted for, whichever way the clock went."""

import pytest

from tests.machinery.leases.conftest import OpenHouse
from tests.machinery.leases.house import START, Clocks, House, acquire, place
from undercroft.database import Transaction
from undercroft.machinery.leases.lease_clock import LeaseClock, boot_clock
from undercroft.machinery.leases.model import STEP, Reading, Seen, Span, step_between

pytestmark = pytest.mark.anyio
HOUR = 3_600_000


@pytest.mark.parametrize("by", [HOUR, -HOUR])
@pytest.mark.parametrize("looked_at", [True, False])
async def test_a_step_neither_ends_nor_lengthens_a_lease(house: House, by: int, looked_at: bool) -> None:
    await house.take(ttl=10_000)
    house.clocks.pass_time(4_000)
    house.clocks.set_wall(by)
    if looked_at:  # by one who only reads, and writes no step down
        lease = (await house.leases.look(place())).lease
        assert lease is not None
    refused = await house.take()
    assert (refused.yes, refused.left) == (False, 6_000)
    house.clocks.pass_time(5_999)
    assert not (await house.take()).yes
    house.clocks.pass_time(1)
    assert (await house.take()).yes


@pytest.mark.parametrize("by", [HOUR, -HOUR])
async def test_moments_are_shown_and_read_by_the_clock_as_it_is_now(house: House, by: int) -> None:
    await house.take("old", ttl=10_000)
    house.clocks.set_wall(by)
    assert (await house.take("old")).free_at == START + by + 10_000
    new = await house.take("new", span=Span(ends_at=START + by + 500))
    assert (new.yes, new.left, new.expires_at) == (True, 500, START + by + 500)


async def test_who_waits_for_the_turn_of_others_meanwhile_is_shown_the_moments_that_are_kept(house: House) -> None:
    late = LeaseClock(lambda _tx: house.clocks.wall - STEP // 2, lambda: house.clocks.boot)  # it looked, then it waited
    await house.take("decided meanwhile")

    def decide(tx: Transaction) -> Reading:
        return late.reserve(tx, 1)

    reading = await house.database.write(decide)
    assert (reading.now, reading.wall, reading.shown(reading.now + 10_000)) == (START, START, START + 10_000)
    assert reading.end_of(Span(ends_at=START + 500)) == START + 500


async def test_a_step_is_taken_out_once_however_many_nodes_see_it(open_house: OpenHouse) -> None:
    clocks = Clocks()
    nodes = [await open_house(name, clocks=clocks) for name in "abc"]
    for node in nodes:
        await node.take(f"seen by {node.desk.node}")
    await nodes[0].take(ttl=10_000)
    clocks.set_wall(HOUR)
    assert [(await node.take()).left for node in nodes * 2] == [10_000] * 6
    clocks.set_wall(-2 * HOUR)
    assert [(await node.take()).left for node in reversed(nodes)] == [10_000] * 3


async def test_a_step_is_written_down_in_time_for_a_node_that_starts(open_house: OpenHouse) -> None:
    clocks = Clocks()
    before = await open_house("a", clocks=clocks)
    await before.take(ttl=10_000)
    clocks.set_wall(HOUR)
    await before.leases.keep_lines(0)
    late = await open_house("b", clocks=clocks)
    is_shared = before.database.engine == "postgres"  # SQLite has one node, which sees it whenever it decides
    assert (await late.take()).yes is not is_shared


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_clock_that_goes_to_and_fro_is_followed_each_time(open_house: OpenHouse, nodes: int) -> None:
    clocks = Clocks()
    houses = [await open_house(name, clocks=clocks) for name in "ab"[:nodes]]
    await houses[0].take(ttl=10_000)
    for number, by in enumerate((HOUR, -HOUR, -HOUR, HOUR, 2 * HOUR), 1):
        clocks.set_wall(by)
        clocks.pass_time(1_000)
        assert {(await house.take()).left for house in houses} == {10_000 - number * 1_000}


async def test_a_look_from_before_a_step_that_another_node_took_out_is_made_anew(open_house: OpenHouse) -> None:
    clocks = Clocks()
    one, other = [await open_house(name, clocks=clocks) for name in "ab"]
    await one.take(ttl=10_000)
    await other.take()
    looks = [clocks.wall]  # then it waits for its turn

    def clock(_tx: Transaction) -> int:
        return looks.pop() if looks else clocks.wall

    other.desk._clock._clock = clock
    clocks.set_wall(HOUR)
    assert (await one.take()).left == 10_000
    assert (await other.take()).left == 10_000
    clocks.pass_time(1_000)
    assert [(await house.take()).left for house in (one, other)] == [9_000] * 2
    assert await one.database.read(lambda tx: tx.all("SELECT steps FROM lease_state")) == [(1,)]


async def test_a_step_that_was_undone_with_its_transaction_is_seen_again(house: House) -> None:
    await house.take(ttl=10_000)
    house.clocks.set_wall(HOUR)

    def decide_and_break(tx: object) -> None:
        house.desk.decide(tx, [acquire()])  # type: ignore[arg-type]
        raise LookupError

    with pytest.raises(LookupError):
        await house.database.write(decide_and_break)
    assert (await house.take()).left == 10_000


async def test_a_clock_that_went_back_while_nobody_ran_lets_time_go_on(open_house: OpenHouse) -> None:
    before = await open_house("a")
    await before.take(ttl=10_000)
    clocks = Clocks()
    clocks.set_wall(-HOUR)
    after = await open_house("a", clocks=clocks)
    assert (await after.take()).left == 10_000
    clocks.pass_time(10_000)
    assert (await after.take()).yes


async def test_a_pause_of_the_machine_counts(open_house: OpenHouse) -> None:
    before = await open_house("a")
    await before.take(ttl=10_000)
    clocks = Clocks()
    clocks.set_wall(10_000)
    assert (await (await open_house("a", clocks=clocks)).take()).yes


@pytest.mark.parametrize(("jump", "is_step"), [(STEP, False), (-STEP, False), (STEP + 1, True), (-STEP - 1, True)])
def test_what_counts_as_a_step(jump: int, is_step: bool) -> None:
    before, after = Seen(1_000, 50, 0), Seen(6_000 + jump, 5_050, 0)
    assert step_between(before, after) == (jump if is_step else 0)
    assert step_between(before._replace(slack=1), after) == 0, "the two looks may have been that far apart"


def test_the_boot_clock_goes_forward() -> None:
    first = boot_clock()
    assert 0 < first <= boot_clock()
