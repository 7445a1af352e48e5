"""Roots of others below a root: entries whose places nobody could tell apart by their options, such as a folder of this
machine and one that its own SSH server shows. What is in one is that entry's alone: taken for content it would come
back into it, one folder deeper each time, without an end.

Whoever walks a root tells of what he finds by its mark; whatever changes something there keeps to it.
"""

import functools
from collections.abc import Callable, Collection, Iterator

from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.errors import LeftAlone

MARK = f"{OWN_FOLDER}/root"
REASON = (
    f"this folder is another entry's root, for there is {MARK} in it: it is left alone, with all that is in it. Choose"
    " roots apart; or, if no entry keeps files in it any more, take that file away, then have this entry rescanned"
)
_OWN = f"what is in {OWN_FOLDER} is the server's, in whatever folder"


class OthersRoots:
    """Below one root. Folders are named relative to it."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._maybe: set[str] = set()
        """There is a folder of the server's in them; its mark may come yet."""
        self._free: set[str] | None = set()
        """Asked for before all was walked once; None from then on."""

    def note(self, folder: str) -> None:
        self._folders.add(folder)

    def forget(self, folder: str) -> None:
        self._folders.discard(folder)

    def note_maybe(self, folder: str) -> None:
        self._maybe.add(folder)

    def note_all(self, folders: Collection[str]) -> None:
        """All was walked, and these were found."""
        self._folders = set(folders)
        self._free = None

    def above(self, path: str) -> str:
        """The one that it is, or is in; "" for none."""
        return next((folder for folder in _ways(path) if folder in self._folders), "") if self._folders else ""

    def maybe_above(self, path: str) -> list[str]:
        """As above, also those that only may be; the outermost first."""
        if not self._folders and not self._maybe:
            return []
        return [folder for folder in _ways(path) if folder in self._folders or folder in self._maybe]

    def require_apart(self, path: str, is_marked: Callable[[str], bool]) -> None:
        """Before it is changed. `is_marked` asks for a folder's mark, only until all was walked once: what could not be
        done for long is tried as soon as an entry begins. Raises LeftAlone, OSError."""
        if is_own(path):
            raise left_alone(path)
        if self._free is not None:
            self._ask(path, self._free, is_marked)
        if self.above(path):
            raise left_alone(path)

    def _ask(self, path: str, free: set[str], is_marked: Callable[[str], bool]) -> None:
        for folder in _folders_above(path):
            if folder not in self._folders and folder not in free:
                (self._folders if is_marked(folder) else free).add(folder)


@functools.cache
def others_roots(place: str) -> OthersRoots:
    """Shared by all storages of this process that are at one place: the one that walks, and those that carry out."""
    return OthersRoots()


def is_own(path: str) -> bool:
    """Whether it is, or is in, a folder of the server's, at whatever depth."""
    return OWN_FOLDER in path and OWN_FOLDER in path.split("/")


def left_alone(path: str) -> LeftAlone:
    return LeftAlone(_OWN if is_own(path) else REASON)


def _folders_above(path: str) -> Iterator[str]:
    """The outermost first."""
    return (path[:at] for at, letter in enumerate(path) if letter == "/")


def _ways(path: str) -> Iterator[str]:
    yield from _folders_above(path)
    yield path
