"""What an entry is given to do about a file, and what it says has become of that."""

from typing import NamedTuple

from undercroft.families.sync.reconcile import Content, Seen


class Put(NamedTuple):
    path: str
    version: int
    content: Content
    base: str
    """The revision that it replaces; "" for none: if there is another, somebody has changed it meanwhile."""
    keep_as: str
    sources: tuple[tuple[str, str], ...]
    """(entry, path) where this content lies, best first."""


class Move(NamedTuple):
    """The content lies at the entry already, under a name that is to go."""

    path: str
    version: int
    content: Content
    source: str
    source_version: int
    source_base: str


class Delete(NamedTuple):
    path: str
    version: int
    base: str
    keep_as: str = ""


Operation = Put | Move | Delete


class Settled(NamedTuple):
    """One operation that was carried out; a move is two."""

    seen: Seen
    version: int


class Kept(NamedTuple):
    """What an operation replaced, and where it lies now."""

    path: str
    place: str
    hash: str
    size: int
    mtime: int


class LeftKept(NamedTuple):
    """What lies in the versions area and was never told of."""

    place: str
    hash: str
    """"" where it was not read."""
    size: int
    mtime: int


class Room(NamedTuple):
    """Of the disk that a storage is on, in bytes: what is left of it, and how large it is; 0 where it does not say."""

    free: int
    size: int
