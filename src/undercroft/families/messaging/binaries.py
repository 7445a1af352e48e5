"""Files that messages bring: rows here, their bytes in `files`. Nobody guesses a name, a name is never used twice, and
what it serves never changes: whoever was sent a URL finds the same there until the file is deleted."""

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from undercroft.base.clock import HOUR, MINUTE
from undercroft.base.refusals import unavailable
from undercroft.database import Database, Transaction
from undercroft.families.messaging.errors import missing
from undercroft.families.messaging.files import Files
from undercroft.families.messaging.model import Binary
from undercroft.families.messaging.store import BINARIES

log = structlog.get_logger()

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")
# An upload that takes longer is given up, and its bytes are removed.
LONGEST_UPLOAD = HOUR
# When removing bytes failed, it is tried again after this.
PAUSE = 5 * MINUTE
PER_STEP = 20


class Part(NamedTuple):
    """Bytes `start` to `end` (not included) of a file of `size`."""

    start: int
    end: int
    size: int


class Kept(NamedTuple):
    """What is served under a name."""

    name: str
    type: str
    size: int


def file_name(original: str, now: int) -> str:
    """Twenty digits of the moment, as the contract has it, then what nobody guesses, and the extension that it had."""
    moment = datetime.fromtimestamp(now // 1_000, UTC).strftime("%Y%m%d%H%M%S")
    extension = Path(original).suffix
    name = f"{moment}{now % 1_000:03d}{secrets.randbelow(1_000):03d}-{secrets.token_hex(16)}"
    return name + (extension if _EXTENSION.fullmatch(extension) else "")


def range_of(header: str | None, size: int) -> Part | None:
    """What a Range header asks for. The whole for none, or for one that is to be ignored (RFC 9110 §14.2); None for
    one that lies outside."""
    whole = Part(0, size, size)
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.ASCII) if header else None
    if found is None or found[1] == found[2] == "":
        return whole
    if not found[1]:
        length = min(int(found[2]), size)
        return Part(size - length, size, size) if length else None
    start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if found[2] and int(found[2]) < start:
        return whole
    return Part(start, end, size) if start < size else None


def announce(tx: Transaction, file: Kept, now: int) -> None:
    """Before bytes are put under this name: should they never come into use, they are removed."""
    tx.run(
        "INSERT INTO messaging_files (name, type, size, remove_at) VALUES (:name, :type, :size, :at)",
        **file._asdict(),
        at=now + LONGEST_UPLOAD,
    )


def create(tx: Transaction, namespace: str, file: Kept, now: int) -> Binary:
    """Raises Refusal(UNAVAILABLE) for an upload that took too long."""
    made = BINARIES.insert(tx, {"namespace": namespace, **file._asdict(), "created_at": now})
    assert made is not None, "its name is new"
    _take_into_use(tx, made.id, file.name)
    return made


def replace(tx: Transaction, namespace: str, id: int, file: Kept) -> Binary:
    """The old file stays where it is: its URL may have been sent. (contract §5)"""
    require(tx, namespace, id)
    changed = BINARIES.update(tx, id, file._asdict())
    assert changed is not None, "it was there above"
    _take_into_use(tx, id, file.name)
    return changed


def _take_into_use(tx: Transaction, id: int, name: str) -> None:
    used = tx.one(
        "UPDATE messaging_files SET binary_content = :id, remove_at = NULL WHERE name = :name RETURNING name",
        id=id,
        name=name,
    )
    if used is None:
        raise unavailable("the upload took too long: send the file again")


def delete(tx: Transaction, namespace: str, id: int, now: int) -> None:
    """With the messages that bring it, and with whatever it was before: none of its names serves anything from now on.
    (contract §5)"""
    require(tx, namespace, id)
    tx.run("DELETE FROM messaging_messages WHERE binary_content = :id", id=id)
    tx.run("UPDATE messaging_files SET remove_at = :now WHERE binary_content = :id", id=id, now=now)
    BINARIES.delete(tx, id)


def require(tx: Transaction, namespace: str, id: int) -> Binary:
    found = BINARIES.find(tx, namespace, id)
    if found is None:
        raise missing()
    return found


def served(tx: Transaction, name: str) -> Kept:
    """Asked at each download: what is deleted is gone on every node. Raises Refusal(NOT_FOUND)."""
    row = tx.one("SELECT name, type, size FROM messaging_files WHERE name = :name AND remove_at IS NULL", name=name)
    if row is None:
        raise missing()
    return Kept._make(row)


class Removal:
    """`step` is what the loop does: bytes that are not in use any more go."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    async def step(self, now: int) -> bool:
        names = await self._database.read(_to_remove, now)
        gone = [name for name in names if await self._remove(name)]
        if names:
            await self._database.write(_note_removed, gone, [name for name in names if name not in gone], now)
        return len(names) == PER_STEP

    async def _remove(self, name: str) -> bool:
        try:
            await self._files.remove(name)
        except OSError as error:
            log.warning("file_not_removed", name=name.partition("-")[0], reason=str(error))
            return False
        return True


def _to_remove(tx: Transaction, now: int) -> list[str]:
    rows = tx.all(
        "SELECT name FROM messaging_files WHERE remove_at <= :now ORDER BY remove_at LIMIT :limit",
        now=now,
        limit=PER_STEP,
    )
    return [name for (name,) in rows]


def _note_removed(tx: Transaction, gone: list[str], left: list[str], now: int) -> None:
    tx.each(
        "DELETE FROM messaging_files WHERE remove_at IS NOT NULL AND name IN (SELECT r.name FROM {rows})",
        "name TEXT",
        [(name,) for name in gone],
    )
    tx.each(
        "UPDATE messaging_files SET remove_at = :later WHERE name IN (SELECT r.name FROM {rows})",
        "name TEXT",
        [(name,) for name in left],
        later=now + PAUSE,
    )
