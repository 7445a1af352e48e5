"""Buckets: how many tries, how they come back, and that neither a clock nor a crowd gets around them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import People
from undercroft.base.clock import DAY, HOUR, MINUTE
from undercroft.machinery.identity.limits import (
    Limit,
    Taken,
    Try,
    forget_old_tries,
    forget_tries,
    give_back,
    place_of,
    take,
    take_tries,
    too_many,
)

pytestmark = pytest.mark.anyio
THREE = Limit(3, MINUTE)


def test_a_burst_and_then_one_at_a_time() -> None:
    free_at = 0
    for _ in range(3):
        free_at, wait = take(free_at, NOW, THREE)
        assert wait == 0
    assert take(free_at, NOW, THREE)[1] == MINUTE
    assert take(free_at, NOW + MINUTE - 1, THREE)[1] == 1
    free_at, wait = take(free_at, NOW + MINUTE, THREE)
    assert wait == 0
    assert take(free_at, NOW + MINUTE, THREE)[1] == MINUTE


@given(some.lists(some.integers(0, 3 * MINUTE), max_size=40), some.integers(1, 5), some.integers(1, 2 * MINUTE))
def test_never_more_than_the_burst_and_what_came_back(pauses: list[int], burst: int, every: int) -> None:
    limit, free_at, now, taken = Limit(burst, every), 0, NOW, 0
    for pause in pauses:
        now += pause
        after, wait = take(free_at, now, limit)
        assert 0 <= wait <= every
        if not wait:
            free_at, taken = after, taken + 1
        assert taken <= burst + (now - NOW) // every + 1


@given(some.integers(0, 2**62))
def test_a_clock_that_ran_ahead_shuts_nobody_out_for_long(free_at: int) -> None:
    assert take(free_at, NOW, THREE)[1] <= MINUTE


async def test_all_or_none_is_taken_and_what_went_well_is_given_back(people: People) -> None:
    wide, narrow = Try("wide", THREE), Try("narrow", Limit(1, HOUR))

    async def taken(*tries: Try, now: int = NOW) -> Taken:
        return await people.database.write(take_tries, tries, now)

    assert await taken(wide, narrow) == Taken(0)
    assert await taken(wide, narrow) == Taken(HOUR, ("narrow",))
    assert await taken(wide, narrow) == Taken(HOUR), "said once in an hour"
    assert await taken(wide, narrow, now=NOW + HOUR - 1) == Taken(1)
    assert [(await taken(wide)).wait for _ in range(3)] == [0, 0, MINUTE]

    await people.database.write(give_back, [narrow])
    assert await taken(narrow) == Taken(0)
    assert await taken(narrow, now=NOW + HOUR - 1) == Taken(1)
    assert await taken(narrow, now=NOW + 3 * HOUR) == Taken(0)
    await people.database.write(take_tries, [narrow], NOW + 3 * HOUR)
    await people.database.write(forget_tries, ["narrow"])
    assert await taken(narrow) == Taken(0)


async def test_full_buckets_are_forgotten(people: People) -> None:
    await people.database.write(take_tries, [Try("old", THREE)], NOW)
    await people.database.write(take_tries, [Try("new", THREE)], NOW + DAY)

    assert await people.database.write(forget_old_tries, NOW + DAY, 10) == 1

    assert await people.rows("SELECT key FROM tries") == [("new",)]


async def test_many_at_once_get_no_more(crowd: People) -> None:
    tries = [Try("one", THREE), Try("other", Limit(5, MINUTE))]

    taken = await asyncio.gather(
        *(crowd.database.write(take_tries, tries[:: 1 if n % 2 else -1], NOW) for n in range(20))
    )

    assert sum(not one.wait for one in taken) == 3


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (None, "here"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x" * 100, "x" * 64),
    ],
)
def test_places(address: str | None, place: str) -> None:
    assert place_of(address) == place


def test_a_refusal_says_for_how_long() -> None:
    assert too_many("tries", 1).retry_after == 1
    assert too_many("tries", MINUTE + 1).message == "Too many tries; try again in 61 seconds."
