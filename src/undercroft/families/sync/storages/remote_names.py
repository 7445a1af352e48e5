"""A drive's names and a storage's paths, and what is raised about them."""

import contextlib
import errno
from collections.abc import Iterator

from undercroft.families.sync.names import OWN_FOLDER, raw, shown
from undercroft.families.sync.storages.drive import Reading
from undercroft.families.sync.storages.errors import InTheWay

VERSIONS = f"{OWN_FOLDER}/versions/"


def text_of(path: str) -> str:
    return raw(path).decode(errors="surrogateescape")


def path_of(text: str) -> str:
    return shown(text.encode(errors="surrogateescape"))


@contextlib.contextmanager
def named() -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "the storage does not take this name") from None


def blocks_of(reading: Reading) -> Iterator[bytes]:
    """Up to one that goes beyond the size that was told, as those of a server that never ends."""
    size = 0
    for block in reading.blocks():
        size += len(block)
        yield block
        if size > reading.stat.size:
            return


@contextlib.contextmanager
def in_the_way() -> Iterator[None]:
    try:
        yield
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InTheWay(f"a file, a folder or a link stands in the way: {error.strerror}") from None


def name_of_place(place: str) -> str:
    if "/" in place:
        raise FileNotFoundError(place)
    return VERSIONS + place


def numbered(name: str) -> Iterator[str]:
    yield name
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    for number in range(1, 1_000):
        other = f"{stem}-{number}{dot}{extension}" if stem else f"{last}-{number}"
        yield folder + slash + other
