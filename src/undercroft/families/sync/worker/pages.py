"""What was found is told in pages: no message grows with the number of files."""

import time
from collections.abc import Callable
from typing import NamedTuple

from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.wire import Report
from undercroft.families.sync.worker.index import Index

BATCH = 500
# A page that is not full is told after so long (s): what took long to read is not read again by the next connection.
TELL_AFTER = 1.0


class Look(NamedTuple):
    seen: Seen
    before: str | None
    """The revision that the index had as it was looked at."""


class Page:
    def __init__(self, index: Index, tell: Callable[[Report], None]) -> None:
        self._index = index
        self._tell = tell
        self._looks: list[Look] = []
        self._began = 0.0
        self.later: list[str] = []
        """What changed meanwhile: it has to be looked at again."""

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def is_full(self) -> bool:
        return len(self) >= BATCH or (bool(self._looks) and time.monotonic() - self._began > TELL_AFTER)

    def begin(self) -> None:
        """What is read from now on goes into it."""
        self._began = self._began if self._looks else time.monotonic()

    def add(self, look: Look) -> None:
        self._looks.append(look)

    def clear(self) -> None:
        self._looks = []

    def report(self, number: int, vanished: int, emptied: bool) -> None:
        """Tell it, as far as no operation has come between the look and now."""
        looks, self._looks = self._looks, []
        with self._index.telling:
            told = {look.seen.path: look.seen for look in looks if self._is_as_before(look.seen.path, look.before)}
            for seen in told.values():
                self._index.note(seen)
            if told:
                self._tell(Report(list(told.values()), number, vanished, emptied))

    def taken_later(self) -> list[str]:
        later, self.later = self.later, []
        return later

    def _is_as_before(self, path: str, revision: str | None) -> bool:
        if path not in self._index.busy and self._index.revision(path) == revision:
            return True
        self.later.append(path)
        return False
