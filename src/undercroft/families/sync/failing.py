"""What has failed, and when it is tried again. Pure: moments (s) are handed in. No step walks all that fails."""

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

# Before it is tried again (s), by how often it has failed; then the last, for ever.
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0)
# What another file is in the way of waits until that has gone, which is under way: no longer than by this one of them.
LONGEST_BLOCKED = 4


class Failure(NamedTuple):
    path: str
    due: float
    times: int
    noted: float
    is_overtaken: bool
    """By a change: there was nothing wrong with the storage."""


class Failing:
    def __init__(self, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        self._known: dict[str, Failure] = {}
        # Of each length of pause, in the order in which they are due. One that is not the known one counts no more.
        self._waiting: tuple[deque[Failure], ...] = tuple(deque() for _ in pauses)
        self._at_once: deque[Failure] = deque()
        self._all_due_since = float("-inf")
        self._due: dict[str, None] = {}
        self._tried: set[str] = set()
        self._changed: set[str] = set()
        """While they are being tried."""

    def __contains__(self, path: str) -> bool:
        return path in self._known

    @property
    def tried(self) -> int:
        """So many are being tried at this moment."""
        return len(self._tried)

    def note(self, path: str, now: float, *, blocked: bool, overtaken: bool = False) -> None:
        """It has failed. `blocked`: another file is in its way; `overtaken`: it has changed meanwhile."""
        is_changed = path in self._changed
        self._end(path)
        before = self._known.get(path)
        times = before.times if before is not None and self._is_counted(before) else 0
        pause = min(times, LONGEST_BLOCKED if blocked else len(self._pauses), len(self._pauses) - 1)
        failure = self._known[path] = Failure(path, now + self._pauses[pause], times + 1, now, overtaken)
        self._waiting[pause].append(failure)
        if is_changed:
            self.hasten(path, now)

    def begin(self, path: str) -> None:
        """It is tried now, if it has failed."""
        self._due.pop(path, None)
        if path in self._known:
            self._tried.add(path)

    def hasten(self, path: str, now: float) -> None:
        """It has changed. What a change overtook is tried at once, and how often that happened still counts; what the
        storage would not do waits: it would be copied there in vain as often as it changes."""
        failure = self._known.get(path)
        if path in self._tried:
            self._changed.add(path)
        elif failure is not None and failure.is_overtaken and failure.due > now:
            hastened = self._known[path] = failure._replace(due=now)
            self._at_once.append(hastened)

    def forget(self, path: str) -> None:
        self._known.pop(path, None)
        self._end(path)

    def try_all(self, now: float) -> None:
        """At once, as though none had ever failed before."""
        for waiting in self._waiting:
            self._at_once.extend(waiting)
            waiting.clear()
        self._all_due_since = now

    def waits(self, path: str, now: float) -> bool:
        """Whether it is not to be tried by now. May be asked in any thread."""
        failure = self._known.get(path)
        return failure is not None and failure.due > now and self._is_counted(failure)

    def due(self, now: float, most: int) -> list[str]:
        """Some of what is to be tried by now; they are until they are begun or forgotten."""
        self._due |= dict.fromkeys(islice(self._come_due(now), max(0, most - len(self._due))))
        return list(islice(self._due, max(0, most)))

    def next_due(self, now: float) -> float | None:
        """When more is due than by now."""
        return min((waiting[0].due for waiting in self._waiting if waiting and waiting[0].due > now), default=None)

    def _come_due(self, now: float) -> Iterator[str]:
        for failure in chain(_taken(self._at_once), self._taken_in_turn(now)):
            if self._known.get(failure.path) is failure and failure.path not in self._tried:
                yield failure.path

    def _taken_in_turn(self, now: float) -> Iterator[Failure]:
        """One of each length of pause: what has failed once does not come after all that always fails."""
        due = self._waiting
        while due := tuple(waiting for waiting in due if waiting and waiting[0].due <= now):
            yield from (waiting.popleft() for waiting in due)

    def _end(self, path: str) -> None:
        self._due.pop(path, None)
        self._tried.discard(path)
        self._changed.discard(path)

    def _is_counted(self, failure: Failure) -> bool:
        return failure.noted > self._all_due_since


def _taken(failures: deque[Failure]) -> Iterator[Failure]:
    while failures:
        yield failures.popleft()
