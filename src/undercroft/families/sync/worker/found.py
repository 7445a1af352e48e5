"""What one look has found and not told yet: names alone, for a look at a million files may find as many."""


class Found:
    def __init__(self) -> None:
        self.here: dict[str, bool] = {}
        """What is new or changed, and has to be read → whether it is new."""
        self.gone: dict[str, str] = {}
        """What is known and not there any more → the revision that the index had."""
        self.told = 0
        """So many are new, and told before what is gone."""
        self.emptied = False
        """Something was known, and nothing at all is left."""

    @property
    def vanished(self) -> int:
        """So many more than are new: as many as those may only have been renamed."""
        return len(self.gone) - sum(self.here.values()) - self.told

    def note(self, path: str, before: str | None, revision: str | None) -> None:
        """`before`: what the index has; `revision`: what is there now, None for nothing. What an earlier look found
        counts no more: what came back is no deletion."""
        self.here.pop(path, None)
        self.gone.pop(path, None)
        if revision is not None:
            self.emptied = False
        if revision == before:
            return
        if revision is None:
            assert before is not None
            self.gone[path] = before
        else:
            self.here[path] = before is None


class Skips(dict[str, str]):
    """What can't be synchronised → why. `changed`: those of which that has not been told yet."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[str] = set()

    def __setitem__(self, path: str, reason: str) -> None:
        if self.get(path) != reason:
            self.changed.add(path)
        super().__setitem__(path, reason)

    def forget(self, path: str) -> None:
        if path in self:
            self.changed.add(path)
            del self[path]
