"""The answer to a commit was lost on the line, and the very same order is decided again."""

import pytest

from tests.machinery.leases.conftest import OpenHouse
from tests.machinery.leases.house import Clocks, House, acquire
from undercroft.machinery.leases.model import ALIVE

pytestmark = pytest.mark.anyio


async def test_what_it_got_is_its_own(house: House) -> None:
    order = acquire()
    first = await house.one(order)
    house.clocks.pass_time(100)
    again = await house.one(order)
    assert (again.yes, again.fence, again.token, again.left) == (True, first.fence, order.token, 900)


async def test_with_a_key_too(house: House) -> None:
    order = acquire(key="k", content="c", wait=60_000)
    first = await house.one(order)
    assert await house.one(order) == first
    assert (await house.one(order._replace(waiter="another"))).token == first.token


@pytest.mark.parametrize("key", [None, "k"])
async def test_it_stands_in_line_once(house: House, key: str | None) -> None:
    held = await house.take(ttl=None)
    order = acquire(ttl=None, wait=60_000, key=key, content="c")
    first = await house.one(order)
    again = await house.one(order)
    assert first.waits and again.waits
    assert await house.in_line() == 1
    assert await house.release(held.token)
    mine = await house.one(order)
    assert (mine.yes, mine.token) == (True, order.token)


async def test_what_came_to_it_in_line_meanwhile_is_its_own(house: House) -> None:
    held = await house.take(ttl=None)
    standing = house.stand(ttl=None, wait=60_000)
    await house.wait_for_line(1)
    assert await house.release(held.token)
    told = await standing.told()
    assert await house.one(standing.order) == told


async def test_what_another_node_has_put_down_is_its_own_for_the_whole_time(open_house: OpenHouse) -> None:
    clocks = Clocks()
    here, there = await open_house("here", clocks=clocks), await open_house("there", clocks=clocks)
    held = await here.take(ttl=None)
    order = acquire(ttl=60_000, wait=ALIVE)
    assert (await there.one(order)).waits
    assert await here.release(held.token)
    again = await there.one(order)
    assert (again.yes, again.left) == (True, 60_000)
    assert await here.count("lease_tickets") == 0
