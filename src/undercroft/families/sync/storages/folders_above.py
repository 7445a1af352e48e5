"""Folders of a drive that has real ones: they are made before what is to be in them, and looked at once."""

import errno
import os
from collections.abc import Callable


class FoldersAbove:
    """For one lane: others make and remove folders as well."""

    def __init__(self, is_folder: Callable[[str], bool | None], make: Callable[[str], None]) -> None:
        """`is_folder`: of a name; None where nothing has it. `make`: fails for none that another lane has just made."""
        self._is_folder = is_folder
        self._make = make
        self._known: set[str] = set()

    def make(self, name: str) -> None:
        """Those above it, each a real one: through a link we would write somewhere else.

        Raises NotADirectoryError where something else has the name of one.
        """
        for folder in (name[:at] for at, letter in enumerate(name) if letter == "/"):
            if folder in self._known:
                continue
            there = self._is_folder(folder)
            if there is None:
                self._make(folder)
            elif not there:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._known.add(folder)

    def forget(self, folder: str = "") -> None:
        """This one, or all."""
        self._known = self._known - {folder} if folder else set()
