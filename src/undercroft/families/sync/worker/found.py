"""What one look has found and not told yet: names alone, for a look at a million files may find as many."""

import math
from collections.abc import Container

from undercroft.families.sync.storages.local_content import size_and_time


class Found:
    def __init__(self, large_from: float = math.inf, before: "Found | None" = None) -> None:
        """`large_from`: so many bytes are large; where that is a number, revisions are a folder's. `before`: what was
        found until now, and is found again: what was counted of it is not counted again."""
        self._large_from = large_from
        self._counted = before.large.keys() - before._fresh if before else set[str]()
        self._fresh: set[str] = set()
        """Of what is large: what is new, and was not counted as that by a look that is told."""
        self._owed: dict[str, str] = {}
        """What was large when all had been looked at → its revision then."""
        self.here: dict[str, bool] = {}
        """What is new or changed, and has to be read → whether it is new."""
        self.large: dict[str, str] = {}
        """The same, but it is read beside, and told when that is done → its revision."""
        self.gone: dict[str, str] = {}
        """What is known and not there any more → the revision that the index had."""
        self.told = 0
        """So many are new, and told before what is gone."""
        self.emptied = False
        """Something was known, and nothing at all is left."""

    @property
    def vanished(self) -> int:
        """So many more than are new: as many as those may only have been renamed. What waits counts when it is told,
        and so does what it waits for."""
        renamed = self._renamed()
        gone = len(self.gone) - len(self._waiting(renamed))
        return gone - sum(self.here.values()) - self.told - len(self._fresh - self._awaited(renamed))

    def note(self, path: str, before: str | None, revision: str | None) -> None:
        """`before`: what the index has; `revision`: what is there now, None for nothing. What an earlier look found
        counts no more: what came back is no deletion."""
        is_counted = path in self._counted or (path in self.large and path not in self._fresh)
        self.here.pop(path, None)
        self.gone.pop(path, None)
        self.forget_large(path)
        if revision is not None:
            self.emptied = False
        if revision == before:
            return
        if revision is None:
            assert before is not None
            self.gone[path] = before
        elif self.is_large(revision):
            self.large[path] = revision
            self._fresh.update([path] if before is None and not is_counted else [])
        else:
            self.here[path] = before is None

    def is_large(self, revision: str) -> bool:
        return self._large_from < math.inf and size_and_time(revision)[0] >= self._large_from

    def first_large(self, but: Container[str]) -> str | None:
        """Which of them to read next: what others wait for comes first."""
        awaited = self._awaited(self._renamed())
        return next((path for paths in (awaited, self.large) for path in paths if path not in but), None)

    def forget_large(self, path: str) -> bool:
        """It was read, or is not what it was. Whether it counts as new from now on."""
        is_fresh = path in self._fresh
        self._fresh.discard(path)
        self.large.pop(path, None)
        return is_fresh

    def owe_large(self) -> None:
        """All has been looked at."""
        self._owed = dict(self.large)

    @property
    def is_owing(self) -> bool:
        """Whether something large has still to be read as it was then."""
        while self._owed:
            path, revision = next(iter(self._owed.items()))
            if self.large.get(path) == revision:
                return True
            self.owe_no_more(path)
        return False

    def owe_no_more(self, path: str) -> None:
        self._owed.pop(path, None)

    def waiting(self) -> set[str]:
        """What is gone and was renamed, as it seems, to what is large and has still to be read: both are told together,
        or it would be deleted elsewhere and sent again."""
        return self._waiting(self._renamed())

    def forget_told(self) -> None:
        """All has been told and counted, but what is large and what waits for that."""
        self._fresh = self._awaited(self._renamed()) & self._fresh
        self._counted = set()
        self.told = 0
        self.emptied = False

    def _renamed(self) -> set[tuple[int, str]]:
        """What is both gone and large: its sizes and times."""
        if not self.gone or not self.large:
            return set()
        return {size_and_time(one) for one in self.large.values()} & {size_and_time(one) for one in self.gone.values()}

    def _waiting(self, renamed: set[tuple[int, str]]) -> set[str]:
        return {path for path, before in self.gone.items() if size_and_time(before) in renamed} if renamed else set()

    def _awaited(self, renamed: set[tuple[int, str]]) -> set[str]:
        return {path for path, now in self.large.items() if size_and_time(now) in renamed} if renamed else set()
