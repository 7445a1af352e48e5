"""What a remote storage is asked for: the few verbs that `remote.py` makes a storage of. One file per kind.

A drive is one thread's at a time: it blocks, and keeps its own connections; one that was cut is made anew at the next
verb. Names are plain text, relative to the entry's root, with `/` between their parts; a byte of a name that is no
UTF-8 stands as a lone surrogate (PEP 383). What a drive can't name it refuses with OSError(EILSEQ), never bending it
into another name; UnicodeEncodeError counts as that.

What fails on the way (connection, time, a 5xx) is an OSError whose text says what to do, and heals by itself. Vanished
comes of every verb where somebody has to mend something first: credentials that are refused, a bucket that is gone.
What is not there is FileNotFoundError. No secret is in any text.

Names below `.undercroft/` are asked for as any other: what was replaced is kept there, and what marks the root.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

YOUNG = ".young"
"""The end of a revision by which the next content might be known as well: it is read again when it is older."""


class Stat(NamedTuple):
    """A file as a drive tells of it."""

    name: str
    size: int
    revision: str
    """Unlike that of any other content which the name ever had, as far as the drive can tell: an ETag, a `rev`. "" only
    from a verb that changed it, where somebody else may have changed it since: then it will be looked at again."""
    mtime: int
    """Nanoseconds since 1970; of the content where the drive keeps it, else of its arrival."""
    unfit: str = ""
    """Only from a walk: why this can't be synchronised, such as a link; the rest is then nothing. `others_roots.REASON`
    of a folder with a mark: it is another's root."""


class Reading(Protocol):
    """An open file. A context manager; the drive is not used otherwise until it is closed."""

    stat: Stat

    def blocks(self) -> Iterator[bytes]: ...

    def __enter__(self) -> "Reading": ...

    def __exit__(self, *_: object) -> None: ...


class Drive(Protocol):
    """The constructor takes the entry's options and connects to nothing."""

    names_are_bytes: bool
    """It also knows those that are no UTF-8."""

    def require_name(self, name: str) -> None:
        """Raises OSError(EILSEQ), UnicodeEncodeError for one that it can't hold, as far as that is known by itself."""

    def check(self) -> None:
        """Raises Vanished where the root is missing, or can't be read and written; the text says what to mend."""

    def walk(self) -> Iterator[Stat]:
        """Every file below the root, in any order. Of a folder in which there is a mark (`.undercroft/root`) it is told
        once, as unfit, and of nothing in it; what the root's own `.undercroft/` holds is left out, what such a folder
        elsewhere holds may be. Raises OSError: then nothing is known."""

    def files_in(self, folder: str) -> Iterator[Stat]:
        """Files directly in this folder, such as `.undercroft/versions`; none where there is no such folder."""

    def stat(self, name: str) -> Stat | None:
        """None where there is no file."""

    def open(self, name: str, start: int = 0) -> Reading:
        """Its content from a byte on. Raises FileNotFoundError."""

    def put(self, name: str, source: BinaryIO, size: int, mtime: int, base: str) -> Stat:
        """Whole or not at all: nobody ever sees a part of it under the name. Folders above it are made; one that holds
        no file gives way to it.

        `base`: the revision that it replaces, "" for none. Raises Changed where another is there, as surely as the
        drive can tell (a conditional request; else a look just before). What `source.read` raises is let through;
        it can be read again after `seek(0)`.
        """

    def move(self, source: str, base: str, name: str) -> Stat:
        """Onto a name that is free; folders above it are made, those that are empty then go. Told is under which name
        it is: another of ours than was asked for, where an earlier try that was given up has put it there.

        Raises Changed where the name is taken, or `source` is not `base` any more.
        """

    def copy(self, source: str, base: str, name: str) -> Stat:
        """Onto a name that is free, without sending it to us where the drive can. Told is under which name it is: that
        of an earlier try, where that one was given up and made after all. Raises Changed.

        Only ever asked for what is about to be replaced: a hard link will do.
        """

    def delete(self, name: str, base: str) -> None:
        """Folders that are empty then go as well. Raises Changed."""

    def close(self) -> None: ...
