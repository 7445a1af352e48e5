"""What can't be synchronised: all of it is told after the first look at everything, then what has changed."""

from collections.abc import Iterator

from undercroft.families.sync.names import LONGEST_PATH
from undercroft.families.sync.wire import Skipped
from undercroft.families.sync.worker.pages import BATCH


class Skips(dict[str, str]):
    """Path → why."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, str] = {}
        self._touched: set[str] = set()
        self._is_all_untold = False

    def __setitem__(self, path: str, reason: str) -> None:
        self._touched.add(path)
        super().__setitem__(path, reason)

    def forget(self, path: str) -> None:
        if path in self:
            self._touched.add(path)
            del self[path]

    def clear(self) -> None:
        self._touched.update(self)
        super().clear()

    def tell_all(self) -> None:
        """Next time not only what has changed: whoever hears it forgets what he knew."""
        self._is_all_untold = True

    def untold(self) -> Iterator[Skipped]:
        """What is to be told now, in pages; from here on it counts as told."""
        anew, self._is_all_untold = self._is_all_untold, False
        paths = list(self) if anew else self._changed()
        self._note_told()
        for at in range(0, len(paths) or anew, BATCH):
            page = [(path[: LONGEST_PATH + 1], self.get(path, "")) for path in paths[at : at + BATCH]]
            yield Skipped(page, anew and not at)

    def _changed(self) -> list[str]:
        return [path for path in self._touched if self.get(path) != self._told.get(path)]

    def _note_told(self) -> None:
        for path in self._touched:
            if path in self:
                self._told[path] = self[path]
            else:
                self._told.pop(path, None)
        self._touched.clear()
