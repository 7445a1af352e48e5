"""Whose root a folder of this machine is: a mark in it, `.undercroft/root`, says so.

A folder that has taken another's place (a bare mount point, a link on the way that leads elsewhere by now) has another
entry's mark or none: the entry stops, for what is not there would be taken for deleted. Roots of days before there were
marks get theirs when a file that was known is there as it was. So does a copy of another entry's root, with that one's
mark in it, when an entry begins there.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.local_folders import FOLDER, READ
from undercroft.families.sync.storages.marks import IF_RIGHT, LONGEST, Owner, entry_in, written

_NAME, _NEW = "root", "root.new"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def require_mark(own: int, root: str, owner: Owner, expected: int, look: Callable[[str], str | None]) -> None:
    """The root is the owner's, and is marked so. `own`: the server's folder in it, open; `expected`: so many files it
    held; `look` gives the revision of what is there. Raises Vanished."""
    try:
        found = _read(own)
        if found == owner.mark:
            return
        other = owner.others.get(found or "")
        if other is not None and (expected or not _is_copy(own, found, other.root)):
            raise Vanished(
                f"the folder {root} is the root of the entry {other.name}, or a copy of it: does a link on the way lead"
                f" there? {IF_RIGHT}"
            )
        # An empty one is made by who knows that the folder is the right one.
        if expected and found != "" and not _agrees(owner.known, look):
            raise Vanished(
                f"the root {root} is not the folder that it was: nothing in it is as it was known, and its mark is not"
                f" there. {IF_RIGHT}"
            )
        _write(own, owner.mark)
    except OSError as error:
        raise Vanished(f"the mark {OWN_FOLDER}/{_NAME} in {root} can't be used: {error.strerror}") from None


def _read(own: int) -> str | None:
    """Which entry it names; "" where the file is empty, None for no mark. Raises OSError."""
    try:
        descriptor = os.open(_NAME, READ, dir_fd=own)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no file", _NAME)
        return entry_in(file.read(LONGEST))


def _is_copy(own: int, mark: str | None, root: str) -> bool:
    """Of the root of the entry with this mark, which is where it was. Two ways may lead to one folder, such as another
    mount of it: what is made on the one is there on the other. Raises OSError."""
    if not root:
        return False
    try:
        theirs = os.open(Path(root, OWN_FOLDER), FOLDER)
    except OSError:
        return False
    probe = f"probe-{sortable_id()}"
    try:
        if _read(theirs) != mark:
            return False
        os.close(os.open(probe, _WRITE, 0o600, dir_fd=own))
        try:
            return probe not in os.listdir(theirs)  # noqa: PTH208 - a descriptor
        finally:
            os.unlink(probe, dir_fd=own)
    finally:
        os.close(theirs)


def _agrees(known: list[tuple[str, str]], look: Callable[[str], str | None]) -> bool:
    return any(revision and look(path) == revision for path, revision in known)


def _write(own: int, mark: str) -> None:
    """Whole at any moment."""
    with os.fdopen(os.open(_NEW, _WRITE, 0o600, dir_fd=own), "wb") as file:
        file.write(written(mark))
        file.flush()
        os.fsync(file.fileno())
    os.rename(_NEW, _NAME, src_dir_fd=own, dst_dir_fd=own)
    os.fsync(own)


__all__ = ["Owner", "require_mark"]
