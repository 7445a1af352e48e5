"""What an entry's worker needs of a storage, whatever its kind.

A storage is one thread's at a time: it blocks. Paths are text as `names.shown` gives it. Whatever is replaced or
deleted goes to `.undercroft/versions` on the same storage.
"""

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from undercroft.families.sync.operations import Delete, Move, Put, Room
from undercroft.families.sync.reconcile import Seen

Source = io.RawIOBase
"""Content to read from, as an open binary file. An `io.FileIO` has a descriptor, by which the kernel may copy it."""
Pace = Callable[[int], None]
"""Told of the bytes so far; it waits where that is too quick, and raises where nobody wants them any more. A number
below 0 says how many of them were there before."""
OnFolder = Callable[[bytes, int], None]
LONGEST_ARRIVAL = 7 * 86_400.0
"""Seconds; a slow line takes a day for a large file. What began to arrive before that is nobody's any more."""


def freely(_: int) -> None:
    """A pace that keeps nobody waiting."""


class Found(NamedTuple):
    path: str
    revision: str


class Replaced(NamedTuple):
    """`place`: in the versions area; or `kept_as`: beside."""

    place: str
    kept_as: str
    size: int
    mtime: int


class InVersions(NamedTuple):
    """A file in the versions area; `place` may be a name that is none of ours."""

    place: str
    size: int
    mtime: int


class Placed(NamedTuple):
    """`revision`: of what was put there, though somebody else may have changed it since."""

    revision: str
    replaced: Replaced | None


class Restored(NamedTuple):
    seen: Seen
    replaced: Replaced | None


class Storage(Protocol):
    polled: float | None
    """It is looked at again after so many seconds; None: it is watched."""
    together: int
    """So many small files are made durable together."""
    lanes: int
    """So many of those are under way at once."""
    skipped: dict[str, str]
    """What can't be synchronised, and why; of what was looked at."""

    def check(self, expected: int) -> None:
        """Raises Vanished for a root that can't be used, or that is not where `expected` files were; OSError for one
        that can't be reached at this moment."""

    def is_there(self) -> bool:
        """Whether the root is still the one that was checked. Raises OSError where that can't be told."""

    # Looking

    def walk(self, below: bytes, on_folder: OnFolder) -> Iterator[Found]:
        """Every file below a folder (b"" is the root). Where the storage is watched, `on_folder` is called with each
        folder's path and descriptor before it is read: what appears there from then on is noticed by the watch."""

    def is_ignored(self, path: bytes) -> bool: ...

    def is_left_alone(self, path: str) -> bool:
        """Whether it is the server's own, or in a root of another's below this one: whatever is known of it stays."""

    def is_folder(self, path: str) -> bool: ...

    def look(self, path: str) -> str | None:
        """The revision of the file that is there; None where there is no file. Raises LeftAlone, OSError."""

    def read(self, path: str, pace: Pace = freely) -> Seen | None:
        """Hash it. None where it changes meanwhile. Raises OSError where it can't be read, and what `pace` raises.

        What is asked for here and below raises LeftAlone, an OSError, where it is left alone.
        """

    def open_source(self, path: str) -> Source:
        """To read it, for any entry; reading raises SourceChanged, SourceLost as well.

        Raises SourceChanged where there is no file, SourceLost where it can't be read at this moment, Vanished.
        """

    # Changing

    def receive(self, put: Put, source: Source, pace: Pace) -> bytes:
        """Bring the content where it can be given its name at once; the token for that.

        Verified is what was read from the source: its hash and length are those that were asked for. What was written
        of it is believed where every write, the sync and the length say so; it is not read again.

        Raises SourceChanged where it is not what was asked for. What is left of an earlier try is gone on with.
        """

    def make_durable(self, tokens: list[bytes]) -> None: ...

    def put_in_place(self, put: Put, token: bytes) -> Placed:
        """Give it its name; what was there, if it was what was expected, is kept, under `put.keep_as` if that is given.
        Raises Changed, InTheWay, OSError."""

    def delete(self, delete: Delete) -> Replaced:
        """To the versions, or under `delete.keep_as` if that is given. Raises Changed, OSError."""

    def move(self, move: Move) -> str:
        """The revision under the new name; "" where it has to be read again. Raises Changed, InTheWay, OSError."""

    def restore(self, path: str, place: str, paced: Callable[[int], Pace]) -> Restored:
        """A kept version under this name, over whatever is there; `paced` gives the pace of so many bytes.

        Raises Changed, SourceChanged, OSError.
        """

    def make_names_durable(self, paths: list[str]) -> None: ...

    def versions(self) -> Iterator[InVersions]:
        """All that lies in the versions area, in any order. Raises OSError."""

    def hash_of_version(self, place: str, pace: Pace = freely) -> str:
        """Raises FileNotFoundError, OSError, and what `pace` raises."""

    def drop(self, place: str) -> None:
        """A kept version whose time is over; that it is gone already is no fault. Raises Changed, OSError, Vanished."""

    def room(self) -> Room | None:
        """Of the disk; None where it is none of this machine's, or does not say."""

    def forget_old_arrivals(self, older_than: float = LONGEST_ARRIVAL) -> None:
        """What began to arrive and was never finished, in seconds."""

    def close(self) -> None: ...
