"""Where a subscription should be by now: cron moments against the numbers of its set. Pure. (contract §8)

A run is a moment at which the schedule fires, in (created_at, now]; each run sends one message. Only as many runs are
looked at as a set has messages, however long ago it began.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

MINUTE = 60_000
# Sets that follow each other, at the most: some lead back to themselves.
LONGEST_CHAIN = 1_000


class Series(NamedTuple):
    """A set as this arithmetic sees it, in one language: its numbers in ascending order, and the set behind it."""

    numbers: Sequence[int]
    next_set: int | None = None


class Place(NamedTuple):
    """Somewhere on a subscriber's path. `number` is the one to come, or the last where it is `complete`."""

    messageset: int
    number: int
    complete: bool
    created_at: int
    """Since when its runs count."""


class Standing(NamedTuple):
    """How far behind; and every set from the present one on to where it should be by now, the last of them."""

    behind: int
    path: list[Place]

    @property
    def expected(self) -> Place:
        return self.path[-1]


Runs = Callable[[int, int], Iterator[int]]
"""(set, created_at) → the moments later than that at which its schedule fires, up to now, ascending."""


def expected(numbers: Sequence[int], initial: int, runs: Iterator[int]) -> tuple[int, bool, int | None]:
    """The number to come, whether it is complete, and the last run that counted."""
    ahead = [number for number in numbers if number >= initial]
    last: int | None = None
    for position, _ in enumerate(ahead):
        moment = next(runs, None)
        if moment is None:
            return ahead[position], False, last
        last = moment
    return (numbers[-1] if numbers else 0), True, last


def standing(
    messageset: int, initial: int, upcoming: int, created_at: int, series: Mapping[int, Series], runs: Runs
) -> Standing:
    """`initial`, `upcoming`: the subscription's first and next number; of every set that may follow, its series."""
    total, path = 0, []
    for _ in range(LONGEST_CHAIN):
        numbers, next_set = series[messageset]
        number, complete, last = expected(numbers, initial, runs(messageset, created_at))
        total += sum(upcoming <= one < number for one in numbers)
        if complete and numbers:
            total += 1
        path.append(Place(messageset, number, complete, created_at))
        # A set that asks for no run, as one without messages, would lead on and on without any time passing.
        stands_still = not numbers or (len(path) > 1 and last is None)
        if not complete or stands_still or next_set is None or next_set not in series:
            break
        messageset, created_at = next_set, created_at if last is None else last
        initial = upcoming = 1
    return Standing(total, path)


def following(numbers: Sequence[int], number: int) -> int | None:
    """The number after this one; None where it was the last."""
    return next((one for one in numbers if one > number), None)
