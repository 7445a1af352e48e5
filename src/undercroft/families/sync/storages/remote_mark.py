"""Whose root a place elsewhere is: its mark says so, as that of a folder of this machine does (`local_mark.py`).

One place may be given by two names, or be reached in two ways; and who looks after the server may have put another's
folder there. Marks of days before they named anybody become those of who comes first. A copy can't be told from the
root itself here: who begins on a copy of another's root takes its mark away.
"""

import io
import itertools
import time
from collections.abc import Callable

from undercroft.families.sync.storages.drive import Drive, Stat
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.marks import IF_RIGHT, LONGEST, Owner, entry_in, written
from undercroft.families.sync.storages.others_roots import MARK
from undercroft.families.sync.storages.remote_names import blocks_of

# Another entry may begin there at the same moment.
TRIES = 3
# So many files that were known are asked for where the mark is nobody's that we know.
MOST_ASKED = 20


def require_mark(
    drive: Drive, label: str, owner: Owner | None, expected: int, look: Callable[[str], str | None]
) -> None:
    """It is the owner's, and is marked so; with no owner, it is marked. `expected`: so many files it held; `look` gives
    the revision of what is there. Raises Vanished, OSError."""
    for _ in range(TRIES):
        about = drive.stat(MARK)
        if about is None and expected:
            raise Vanished(
                f"{label} is not the place that it was: its {MARK} is missing. Nothing was deleted elsewhere"
            )
        if about is not None and owner is None:
            return
        found = None if about is None else _read(drive, about)
        if owner is not None:
            if found == owner.mark:
                return
            _require_free(found, label, owner, expected, look)
        try:
            _write(drive, written(owner.mark if owner else ""), about, expected)
        except Changed:
            continue
    raise Vanished(f"the mark {MARK} of {label} is changed again and again: do two entries begin there?")


def _read(drive: Drive, about: Stat) -> str | None:
    """Which entry it names; "" for an empty one."""
    if not about.size:
        return ""
    try:
        with drive.open(MARK) as reading:
            content = b"".join(itertools.islice(blocks_of(reading), LONGEST))
    except FileNotFoundError:
        return None
    return entry_in(content)


def _require_free(
    found: str | None, label: str, owner: Owner, expected: int, look: Callable[[str], str | None]
) -> None:
    other = owner.others.get(found or "")
    if other is not None:
        raise Vanished(f"{label} is the root of the entry {other.name}, or a copy of it: choose another. {IF_RIGHT}")
    if found and expected and not _agrees(owner.known, look):
        raise Vanished(
            f"{label} is not the place that it was: nothing in it is as it was known, and its mark names an entry that"
            f" nobody knows here. {IF_RIGHT}"
        )


def _agrees(known: list[tuple[str, str]], look: Callable[[str], str | None]) -> bool:
    some = known[:: max(1, -(-len(known) // MOST_ASKED))]
    return any(revision and look(path) == revision for path, revision in some)


def _write(drive: Drive, mark: bytes, about: Stat | None, expected: int) -> None:
    """Onto what was read alone. Raises Changed."""
    base = about.revision if about else ""
    if about is not None and not expected:  # there are servers that replace nothing
        drive.delete(MARK, base)
        base = ""
    drive.put(MARK, io.BytesIO(mark), len(mark), time.time_ns(), base)
