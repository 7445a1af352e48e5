"""The same request again, after its reply was lost: the same answer, and no second grant."""

import pytest

from tests.machinery.leases.house import House, acquire, place
from undercroft.base.refusals import Refusal
from undercroft.machinery.leases.model import KEYS_KEPT, Acquire, GiveBack, LeaveLine

pytestmark = pytest.mark.anyio


def keyed(key: str = "k", content: str = "c", **more: object) -> Acquire:
    return acquire(key=key, content=content, **more)  # type: ignore[arg-type]


async def test_the_same_key_gets_the_same_answer_with_its_token(house: House) -> None:
    first = await house.one(keyed())
    house.clocks.pass_time(100)
    again = await house.one(keyed())
    assert (again.yes, again.fence, again.token, again.expires_at) == (True, first.fence, first.token, first.expires_at)
    assert not (await house.one(keyed("another"))).yes


async def test_at_the_same_moment_too(house: House) -> None:
    first, again = await house.ask(keyed(), keyed())
    assert first == again


async def test_a_refusal_stays_one(house: House) -> None:
    held = await house.take()
    assert not (await house.one(keyed())).yes
    await house.release(held.token)
    assert not (await house.one(keyed())).yes
    assert (await house.one(keyed("another"))).yes


async def test_a_grant_that_is_over_is_not_said_to_stand(house: House) -> None:
    first = await house.one(keyed())
    assert await house.release(first.token)
    assert not (await house.one(keyed())).yes
    await house.one(keyed("second"))
    house.clocks.pass_time(1_000)
    assert not (await house.one(keyed("second"))).yes


async def test_with_another_request_it_is_refused(house: House) -> None:
    await house.one(keyed())
    [refusal] = await house.ask(keyed(content="other"))
    assert isinstance(refusal, Refusal) and refusal.code == "key_used"


async def test_keys_of_other_namespaces_are_others(house: House) -> None:
    await house.one(keyed())
    other = keyed()._replace(place=place(namespace="other"))
    answer = await house.one(other)
    assert (answer.yes, answer.token) == (True, other.token)


async def test_a_day_later_it_is_forgotten(house: House) -> None:
    await house.one(keyed())
    house.clocks.pass_time(KEYS_KEPT - 1)
    await house.leases.forget_old(0)
    assert await house.count("lease_keys") == 1
    house.clocks.pass_time(1)
    await house.leases.forget_old(0)
    assert await house.count("lease_keys") == 0


async def test_who_asks_again_while_waiting_keeps_the_place_in_line(house: House) -> None:
    held = await house.take(ttl=None)
    first = house.stand(key="k", content="c")
    await house.wait_for_line(1)
    second = house.stand()
    await house.wait_for_line(2)
    again = house.stand(key="k", content="c")
    assert not (await first.told()).yes, "its client is not there any more"
    assert await house.in_line() == 2
    first.hang_up()
    assert await house.release(held.token)
    answer = await again.told()
    assert answer.yes and second.waits
    assert (await house.one(keyed())).token == answer.token


async def test_what_is_given_back_unheard_leaves_no_answer_behind(house: House) -> None:
    order = keyed()
    first = await house.one(order)
    assert (await house.one(GiveBack(place(), first.token, order.waiter, "k"))).yes
    anew = await house.one(keyed())
    assert anew.yes and anew.fence > first.fence


async def test_nothing_is_given_back_that_another_was_told_of(house: House) -> None:
    order = keyed()
    first = await house.one(order)
    again = await house.one(keyed())
    assert not (await house.one(GiveBack(place(), first.token, order.waiter, "k"))).yes
    assert (await house.renew(again.token)).yes


async def test_a_wait_that_nobody_heard_the_end_of_begins_anew(house: House) -> None:
    await house.take(ttl=None)
    order = keyed(wait=20_000)
    assert (await house.one(order)).waits
    assert not (await house.one(LeaveLine(place(), order.waiter, "k", unheard=True))).yes
    assert (await house.one(keyed(wait=20_000))).waits


async def test_a_wait_that_was_in_vain_stays_so(house: House) -> None:
    held = await house.take(ttl=None)
    order = keyed(wait=20_000)
    await house.one(order)
    await house.one(LeaveLine(place(), order.waiter, "k"))
    await house.release(held.token)
    assert not (await house.one(keyed(wait=20_000))).yes
