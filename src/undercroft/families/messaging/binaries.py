"""Files that messages bring: rows here, bytes in the data folder. A name is never used twice, and a file never changed:
whoever was sent its URL finds it there, also after the row has gone."""

import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging.errors import missing
from undercroft.families.messaging.model import Binary
from undercroft.families.messaging.store import BINARIES

NAME = re.compile(r"\d{20}(\.[A-Za-z0-9]{1,16})?")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")
_PIECE = 256 * 1_024


class Part(NamedTuple):
    """Bytes `start` to `end` (not included) of a file of `size`."""

    start: int
    end: int
    size: int


def file_name(original: str, now: int) -> str:
    """Twenty digits of the moment, and the extension that it had. Microseconds are made up: two may come at once."""
    moment = datetime.fromtimestamp(now // 1_000, UTC).strftime("%Y%m%d%H%M%S")
    extension = Path(original).suffix
    return f"{moment}{secrets.randbelow(10**6):06d}" + (extension if _EXTENSION.fullmatch(extension) else "")


def keep_file(folder: Path, name: str, content: bytes) -> None:
    """Written whole and on disk before its name shows up. Raises OSError, FileExistsError for a name that is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{name}.{secrets.token_hex(8)}"
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, folder / name)
    finally:
        beside.unlink(missing_ok=True)


def read_part(path: Path, part: Part) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(part.start)
        left = part.end - part.start
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


def range_of(header: str | None, size: int) -> Part | None:
    """What a Range header asks for. The whole for none, or for one that is to be ignored (RFC 9110 §14.2); None for
    one that lies outside."""
    whole = Part(0, size, size)
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip()) if header else None
    if found is None or found[1] == found[2] == "":
        return whole
    if not found[1]:
        length = min(int(found[2]), size)
        return Part(size - length, size, size) if length else None
    start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if found[2] and int(found[2]) < start:
        return whole
    return Part(start, end, size) if start < size else None


def create(tx: Transaction, namespace: str, name: str, kind: str, size: int, now: int) -> Binary | None:
    """None where the name is taken."""
    values = {"namespace": namespace, "name": name, "type": kind, "size": size, "created_at": now}
    return BINARIES.insert(tx, values)


def replace(tx: Transaction, namespace: str, id: int, name: str, kind: str, size: int) -> Binary:
    require(tx, namespace, id)
    changed = BINARIES.update(tx, id, {"name": name, "type": kind, "size": size})
    assert changed is not None, "it was there above"
    return changed


def delete(tx: Transaction, namespace: str, id: int, _now: int) -> None:
    """With the messages that bring it. (contract §5)"""
    require(tx, namespace, id)
    tx.run("DELETE FROM messaging_messages WHERE binary_content = :id", id=id)
    BINARIES.delete(tx, id)


def require(tx: Transaction, namespace: str, id: int) -> Binary:
    found = BINARIES.find(tx, namespace, id)
    if found is None:
        raise missing()
    return found
