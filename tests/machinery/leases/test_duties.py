"""What one node does for all."""

import pytest

from tests.machinery.leases.conftest import OpenHouse
from tests.machinery.leases.house import Clocks
from undercroft.base.clock import HOUR
from undercroft.machinery.leases.duties import TTL, Duties
from undercroft.machinery.loops import Step

pytestmark = pytest.mark.anyio


async def test_one_of_several_nodes_does_it_until_it_dies_or_lays_it_down(open_house: OpenHouse) -> None:
    clocks, done = Clocks(), []
    houses = {name: await open_house(name, clocks=clocks) for name in "abc"}
    duties = {name: Duties(house.leases, name) for name, house in houses.items()}

    def work_of(name: str) -> object:
        async def work(_now: int) -> bool:
            done.append(name)
            return True

        return work

    steps = {name: own.alone("sweep", work_of(name)) for name, own in duties.items()}  # type: ignore[arg-type]

    async def everybody() -> list[str]:
        done.clear()
        more = [await step(0) for step in steps.values()]
        assert more.count(True) == len(done)
        return list(done)

    assert await everybody() == ["a"]
    clocks.pass_time(TTL - 1)
    assert await everybody() == ["a"], "renewed by each round"
    del steps["a"]
    clocks.pass_time(TTL - 1)
    assert await everybody() == []
    clocks.pass_time(1)
    assert await everybody() == ["b"]
    await duties["b"].lay_down()
    del steps["b"]
    assert await everybody() == ["c"]


async def test_a_clock_that_was_an_hour_ahead_takes_no_duty_from_a_node_nor_leaves_it_with_the_dead(
    open_house: OpenHouse,
) -> None:
    clocks = Clocks()
    one, other = [Duties((await open_house(name, clocks=clocks)).leases, name) for name in "ab"]

    async def work(_now: int) -> bool:
        return True

    async def who() -> tuple[bool, bool]:
        return await one.alone("sweep", work)(0), await other.alone("sweep", work)(0)

    assert await who() == (True, False)
    for by in (HOUR, -HOUR, -HOUR, HOUR):
        clocks.set_wall(by)
        clocks.pass_time(TTL - 1)
        assert await who() == (True, False), by
    clocks.set_wall(HOUR)
    assert await who() == (True, False)
    late = Duties((await open_house("c", clocks=clocks)).leases, "c")  # it starts while the clock is wrong
    assert not await late.alone("sweep", work)(0)
    clocks.set_wall(-HOUR)
    clocks.pass_time(TTL)
    assert await late.alone("sweep", work)(0), "its holder is gone, and the hour with it"


async def test_duties_are_apart_from_each_other_and_from_locks(open_house: OpenHouse) -> None:
    house = await open_house("a")
    other = await open_house("b", clocks=house.clocks)
    mine, theirs = Duties(house.leases, "a"), Duties(other.leases, "b")

    async def work(_now: int) -> bool:
        return True

    assert await mine.alone("one", work)(0)
    assert await theirs.alone("two", work)(0)
    assert not await theirs.alone("one", work)(0)
    assert (await house.take("one")).yes


async def test_a_killed_node_that_comes_back_does_not_wait_for_itself(open_house: OpenHouse) -> None:
    """It takes back what was its own, and nothing of another's."""
    clocks = Clocks()
    killed, other, again = [Duties((await open_house(name, clocks=clocks)).leases, name) for name in ("a", "b", "a")]

    async def work(_now: int) -> bool:
        return True

    def sweeping(duties: Duties) -> Step:
        return duties.alone("sweep", work)

    assert await sweeping(killed)(0)
    assert await other.alone("dust", work)(0)
    come_back, theirs = sweeping(again), again.alone("dust", work)
    assert not await come_back(0)
    await again.take_back()
    assert await come_back(0)
    assert not await theirs(0)
    await other.take_back()
    assert not await sweeping(other)(0), "b had dust alone"
