"""Folders of a drive that has real ones: made before what is to be in them, taken away when they are empty.

Others make and remove folders at any moment, another lane as well as somebody on the server, also those that are ours:
what is known of them is only ever a guess.
"""

import errno
import os
import posixpath
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from undercroft.base.ids import moment_of
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.errors import Changed, is_cut
from undercroft.families.sync.storages.storage import LONGEST_ARRIVAL

T = TypeVar("T")

MOST_EMPTY = 10_000
"""Folders within one that is to give way."""
MOST_FOLDERS = 1_000_000
"""Of an entry: where a folder seems to hold itself there is no end of them, though there may be no file in any."""


class Verbs(Protocol):
    """What the drive is asked for. Raises OSError."""

    def is_folder(self, name: str) -> bool | None:
        """A real one: not a link to one. None where nothing has the name."""

    def make_folder(self, name: str) -> None:
        """No fault where another lane has just made it."""

    def list_folder(self, name: str) -> list[tuple[str, bool]]:
        """(name, whether it is a folder) of what is in it. Raises FileNotFoundError."""

    def remove_folder(self, name: str) -> bool:
        """Whether it was empty, and is gone."""


class RealFolders:
    """For one lane."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._known: set[str] = set()

    def above(self, name: str, do: Callable[[], T]) -> T:
        """What `do` gives, with the folders above a name made. Once more where one of them has gone meanwhile, in
        whatever words the server puts it.

        Raises NotADirectoryError where something else has the name of a folder: through a link we would write
        somewhere else.
        """
        self._make(name)
        try:
            return do()
        except OSError as error:
            self.forget()
            if is_cut(error) or not self._make(name):
                raise
        return do()

    def onto_nothing(self, name: str, do: Callable[[], T]) -> T:
        """The same for a name that has to be free: `do` raises Changed where it is not. A folder that holds no file
        gives way. Raises Changed, FileExistsError where a folder does not."""
        try:
            return self.above(name, do)
        except Changed:
            if self._verbs.is_folder(name) is not True:
                raise Changed("there is another under this name meanwhile") from None
            if not self._remove_empty(name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        return self.above(name, do)

    def prune(self, name: str) -> None:
        """Folders that are empty now, upward."""
        folder = posixpath.dirname(name)
        while folder and folder.split("/")[0] != OWN_FOLDER:
            self._known.discard(folder)
            try:
                if not self._verbs.remove_folder(folder):
                    return
            except OSError:
                return
            folder = posixpath.dirname(folder)

    def forget(self) -> None:
        self._known.clear()

    # Parts

    def _make(self, name: str) -> bool:
        """Whether one of them was missing."""
        made = False
        for folder in (name[:at] for at, letter in enumerate(name) if letter == "/"):
            if folder in self._known:
                continue
            there = self._verbs.is_folder(folder)
            if there is None:
                self._verbs.make_folder(folder)
                made = True
            elif not there:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._known.add(folder)
        return made

    def _remove_empty(self, folder: str) -> bool:
        """One that holds nothing but empty folders, if it does."""
        self.forget()
        found = [folder]
        try:
            for one in found:  # it grows meanwhile
                inner = self._verbs.list_folder(one)
                if not all(is_folder for _, is_folder in inner) or len(found) > MOST_EMPTY:
                    return False
                found += [name for name, _ in inner]
            return all(self._verbs.remove_folder(one) for one in reversed(found))
        except FileNotFoundError:
            return False


class Waiting:
    """Folders that are to be looked into, from the root ("") on. Raises OSError where they have no end."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._left: list[str] = [""]
        self._met = 1

    def __iter__(self) -> Iterator[str]:
        while self._left:
            yield self._left.pop()

    def add(self, folder: str) -> None:
        self._left.append(folder)
        self._met += 1
        if self._met > MOST_FOLDERS:
            reason = f"{self._where} lists more than {MOST_FOLDERS:,} folders: does one of them hold itself?"
            raise OSError(errno.EPROTO, reason)


def is_left(name: str, older_than: float = LONGEST_ARRIVAL) -> bool:
    """Whether it ends with a `sortable_id` of ours that is so old (s): who made it is not at it any more."""
    made = moment_of(posixpath.basename(name))
    return made is not None and made < (time.time() - older_than) * 1_000
