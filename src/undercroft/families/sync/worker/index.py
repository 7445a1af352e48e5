"""What an entry's worker knows of its files: as much as tells whether one has changed."""

import itertools
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from undercroft.families.sync.reconcile import Seen

# In so few folders names are looked for by how they begin; for more, each name's folders are looked up.
FEW_FOLDERS = 8


class Index:
    def __init__(self) -> None:
        self._files: dict[str, tuple[str, str, int]] = {}
        self.busy: set[str] = set()
        """An operation is changing these, or its result is not told yet."""
        self.arrived: deque[str] = deque()
        """What was noted as there, for whoever looks to take: it may lie in a folder that is not watched yet."""
        self._ways: dict[str, str] = {}
        """What was found to be in the way of whom: there are as many as there are such files."""
        self.telling = threading.Lock()
        """Held from the last look at `busy` until a report is on its way: it does not come after an operation that
        begins meanwhile."""

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def take(self, rows: list[tuple[str, str, str, int]]) -> None:
        for path, *about in rows:
            self._files[path] = tuple(about)  # type: ignore[assignment]

    def revision(self, path: str) -> str | None:
        known = self._files.get(path)
        return None if known is None else known[0]

    def hash(self, path: str) -> str:
        known = self._files.get(path)
        return "" if known is None else known[1]

    def some(self, most: int) -> list[tuple[str, str]]:
        """(path, revision) of so many, from everywhere; before others change it."""
        every = max(1, -(-len(self) // most))
        return [(path, about[0]) for path, about in itertools.islice(self._files.items(), 0, None, every)]

    def claim(self, *paths: str) -> None:
        """An operation begins to change these."""
        with self.telling:
            self.busy.update(paths)

    def doubt(self, path: str) -> None:
        """It is not as it was taken for: whatever is there is told when it is looked at, changed or not."""
        known = self._files.get(path, ("", "", 0))
        self._files[path] = ("", *known[1:])

    def in_the_way(self, paths: Collection[str]) -> dict[str, str]:
        """For each of these paths a file that has the name of a folder above it, or is in a folder of its name; "" for
        none. Names are walked through once for all, and not again while a file that was found is still there."""
        found = {path: self._above(path) or self._ways.get(path, "") for path in paths}
        unknown = {path for path, by in found.items() if by not in self}
        found.update(dict.fromkeys(unknown, ""))
        for name in self.below(unknown):
            for folder in folders_above(name):
                if found.get(folder) == "":
                    found[folder] = self._ways[folder] = name
        return found

    def _above(self, path: str) -> str:
        return next((folder for folder in folders_above(path) if folder in self), "")

    def note(self, seen: Seen) -> None:
        if seen.content is None:
            self._files.pop(seen.path, None)
        else:
            self._files[seen.path] = (seen.revision, seen.content.hash, seen.content.size)
            self.arrived.append(seen.path)

    def below(self, folders: Collection[str]) -> list[str]:
        """The files in these folders, at any depth."""
        return below(list(self._files), folders) if folders else []

    def names(self) -> set[str]:
        """In one step, as is the list above: other threads change it while one looks."""
        return set(self._files)


def folders_above(path: str) -> Iterator[str]:
    """The outermost first."""
    parts = path.split("/")
    return ("/".join(parts[:n]) for n in range(1, len(parts)))


def below(paths: Iterable[str], folders: Collection[str]) -> list[str]:
    """Those of the paths that are in one of these folders, at any depth: in one pass, however many folders."""
    if len(folders) <= FEW_FOLDERS:
        prefixes = tuple(folder + "/" for folder in folders)
        return [path for path in paths if path.startswith(prefixes)]
    known = {"": False, **dict.fromkeys(folders, True)}

    def is_within(folder: str) -> bool:
        if folder not in known:
            known[folder] = is_within(folder.rpartition("/")[0])
        return known[folder]

    return [path for path in paths if is_within(path.rpartition("/")[0])]
