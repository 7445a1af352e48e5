"""A name is given where nothing has it, and what lost its own is kept beside: within folders that are open."""

import io
import os
import stat

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import conflict_name, raw, shown
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import Changed, InTheWay
from undercroft.families.sync.storages.local_content import are_equal, revision_of
from undercroft.families.sync.storages.local_folders import READ, Folders, joined, mode_of, remove_empty


def expect(folder: int, name: bytes, revision: str) -> None:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise Changed("it vanished meanwhile") from None
    if revision_of(about) != revision:
        raise Changed("it was changed meanwhile")


def onto_nothing(source_folder: int, source: bytes, folder: int, name: bytes) -> None:
    """Rename where there is nothing, or an empty folder. Raises Changed, InTheWay, OSError."""
    try:
        kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)
    except FileExistsError:
        mode = mode_of(folder, name)
        if stat.S_ISREG(mode):
            raise Changed("there is another under this name meanwhile") from None
        if stat.S_ISDIR(mode) and not remove_empty(folder, name):
            raise InTheWay("a folder of that name is not empty") from None
        kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)


def put_back(folders: Folders, from_folder: int, taken: bytes, folder: int, name: bytes, path: str) -> None:
    """What was changed in that very moment has its name again, or one beside if that is taken by now."""
    try:
        kernel.rename(from_folder, taken, folder, name, kernel.NOREPLACE)
    except FileExistsError:
        keep_beside(folders, from_folder, taken, name_beside(path))


def keep_beside(folders: Folders, from_folder: int, kept: bytes, wanted: str) -> str:
    """Under this name or the next that is free; the path that it has got. Raises Changed, OSError."""
    folder, name = folders.parent(wanted, make=True)
    for number in range(1_000):
        stem, dot, extension = name.rpartition(b".")
        mark = b"-%d" % number if number else b""
        other = stem + mark + dot + extension if stem else name + mark
        try:
            kernel.rename(from_folder, kept, folder, other, kernel.NOREPLACE)
        except FileExistsError:
            if not _are_equal(from_folder, kept, folder, other):
                continue
            os.unlink(kept, dir_fd=from_folder)  # another entry has kept it, and this one got it from there
        return shown(joined(raw(wanted).rpartition(b"/")[0], other))
    raise Changed("too many conflicts under one name")


def name_beside(path: str) -> str:
    return conflict_name(path, "here", sortable_id())


def _are_equal(one_folder: int, one: bytes, other_folder: int, other: bytes) -> bool:
    if not stat.S_ISREG(mode_of(other_folder, other)):
        return False
    with (
        io.FileIO(os.open(one, READ, dir_fd=one_folder)) as first,
        io.FileIO(os.open(other, READ, dir_fd=other_folder)) as second,
    ):
        return are_equal(first.fileno(), second.fileno())
