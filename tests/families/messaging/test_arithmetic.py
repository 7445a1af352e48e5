"""Where a subscription should be by now, against a slow and obvious model: a subscriber's life, run by run."""

from bisect import bisect_right
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from undercroft.families.messaging.arithmetic import Place, Series, following, standing

MOMENTS = st.lists(st.integers(1, 60), unique=True, max_size=12).map(sorted)
NUMBERS = st.lists(st.integers(1, 9), unique=True, max_size=5).map(sorted)


def runs_of(calendars: dict[int, list[int]], now: int):  # type: ignore[no-untyped-def]
    def runs(messageset: int, after: int) -> Iterator[int]:
        moments = calendars[messageset]
        return iter([one for one in moments[bisect_right(moments, after) :] if one <= now])

    return runs


def live(
    messageset: int, number: int, since: int, series: dict[int, Series], calendars: dict[int, list[int]], now: int
) -> tuple[Place, int]:
    """Every moment up to now, one after the other: is there a run for the set that it is on? Then it gets its message
    and moves on. Where it is in the end, and how many messages it got."""
    got, begun = 0, since
    numbers = series[messageset].numbers
    if number not in numbers:
        number = next((one for one in numbers if one >= number), 0)
    complete = not number
    for moment in range(since + 1, now + 1):
        if complete or moment not in calendars[messageset]:
            continue
        got += 1
        onward = [one for one in series[messageset].numbers if one > number]
        if onward:
            number = onward[0]
            continue
        next_set = series[messageset].next_set
        if next_set is None or not series[next_set].numbers:
            complete = True
            continue
        messageset, begun, number = next_set, moment, series[next_set].numbers[0]
    return Place(messageset, number, complete, begun), got


@given(
    sets=st.lists(st.tuples(NUMBERS, MOMENTS), min_size=3, max_size=3),
    chain=st.lists(st.sampled_from([None, 0, 1, 2]), min_size=3, max_size=3),
    initial=st.integers(1, 9),
    since=st.integers(0, 30),
    now=st.integers(30, 70),
)
def test_it_ends_where_a_life_run_by_run_ends(
    sets: list[tuple[list[int], list[int]]], chain: list[int | None], initial: int, since: int, now: int
) -> None:
    series = {id: Series(numbers, chain[id]) for id, (numbers, _) in enumerate(sets)}
    calendars = {id: moments for id, (_, moments) in enumerate(sets)}
    numbers = series[0].numbers
    if not any(one >= initial for one in numbers):
        return  # begins behind its end: complete from the start, see below
    stands = standing(0, initial, initial, since, series, runs_of(calendars, now))
    place, got = live(0, initial, since, series, calendars, now)
    assert stands.behind == got
    if place.complete:
        last = next(one for one in reversed(stands.path) if series[one.messageset].numbers)
        assert last.complete and last.messageset == place.messageset
    else:
        assert stands.expected == place


@given(numbers=NUMBERS, initial=st.integers(1, 9), upcoming=st.integers(1, 9), moments=MOMENTS)
def test_who_was_sent_something_is_behind_by_so_much_less(
    numbers: list[int], initial: int, upcoming: int, moments: list[int]
) -> None:
    series, runs = {0: Series(numbers)}, runs_of({0: moments}, 100)
    whole = standing(0, initial, 1, 0, series, runs).behind
    rest = standing(0, initial, upcoming, 0, series, runs).behind
    done = [one for one in numbers if one < upcoming]
    assert rest <= whole and whole - rest <= len(done)


def test_the_contracts_examples() -> None:
    """Five messages, a schedule that is not due. (contract §8)"""

    def stands(initial: int, upcoming: int, numbers: tuple[int, ...] = (1, 2, 3, 4, 5)) -> tuple[int, int]:
        found = standing(0, initial, upcoming, 0, {0: Series(numbers)}, lambda _set, _after: iter(()))
        return found.behind, found.expected.number

    assert stands(3, 1) == (2, 3)
    assert stands(6, 1) == (5, 5)
    assert stands(1, 4) == (0, 1)
    assert stands(1, 1, ()) == (0, 0)


def test_sets_that_lead_nowhere_but_to_themselves_have_an_end() -> None:
    itself = {0: Series((), 0)}
    assert standing(0, 1, 1, 0, itself, lambda _set, _after: iter((1, 2, 3))).behind == 0
    behind_all = {0: Series((-3,), 0)}
    assert len(standing(0, 1, 1, 0, behind_all, lambda _set, _after: iter(())).path) <= 2


def test_following() -> None:
    assert following((1, 2, 5), 2) == 5
    assert following((1, 2, 5), 5) is None
