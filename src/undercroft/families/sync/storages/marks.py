"""What a root's mark says, `.undercroft/root`: whose it is. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from undercroft.families.sync.storages.others_roots import MARK

LONGEST = 4_096
IF_RIGHT = f"If it is the right one, make an empty file {MARK} in it. Nothing was deleted elsewhere"
_WORDS = "Undercroft keeps files in sync here. Without this file it stops.\n"
_ENTRY = "entry "


class Other(NamedTuple):
    """Another entry, and its root where that is a folder of this machine; else ""."""

    name: str
    root: str


class Owner(NamedTuple):
    """The entry whose root it should be."""

    mark: str
    others: Mapping[str, Other]
    """By their marks."""
    known: list[tuple[str, str]]
    """(path, revision) of some files that it held."""


def written(mark: str) -> bytes:
    """`mark`: "" where it is nobody's."""
    return (_WORDS + f"{_ENTRY}{mark}\n" * bool(mark)).encode()


def entry_in(content: bytes) -> str | None:
    """Which entry it names; "" where the file is empty, None where it says something else."""
    text = content[:LONGEST].decode(errors="replace")
    named = [line.removeprefix(_ENTRY) for line in text.splitlines() if line.startswith(_ENTRY)]
    return named[0] if named else "" if not text else None
