"""What an entry is given to do about a file."""

from typing import NamedTuple

from undercroft.families.sync.reconcile import Content


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
