"""The tables of files and of their copies."""

import functools
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.database.interface import Row
from undercroft.families.sync import tallies
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.reconcile import Change, Content, Copy, File, behind

_FILE = "path, version, hash, size, mtime, mode, owners, origin, past"
_COPY = "entry, version, hash, size, mtime, mode, revision, keep_as, held"
_NO_CONTENT = (None, 0, 0, 0)
_names = msgspec.json.Decoder(tuple[str, ...])


class Known(NamedTuple):
    """A file with all its copies, by entry."""

    file: File | None
    copies: dict[str, Copy]


def load(tx: Transaction, paths: Collection[str]) -> dict[str, Known]:
    """By path; one that nobody knows has no file."""
    found = {path: Known(None, {}) for path in paths}
    columns = ", ".join("f." + name for name in _FILE.split(", "))
    sql = f"SELECT {columns} FROM {{rows}} JOIN sync_files f ON f.path = r.path"
    there = []
    for row in tx.each(sql, "path TEXT", [(path,) for path in paths]):
        found[row[0]] = Known(_file(row), {})
        there.append(row[:1])
    columns = ", ".join("c." + name for name in _COPY.split(", "))
    sql = f"SELECT c.path, {columns} FROM {{rows}} JOIN sync_copies c ON c.path = r.path"
    for path, entry, version, hash, size, mtime, mode, revision, keep_as, held in tx.each(sql, "path TEXT", there):
        content = None if hash is None else Content(hash, size, mtime, mode)
        found[path].copies[entry] = Copy(entry, version, content, revision, keep_as, bool(held))
    return found


def save(
    tx: Transaction, known: Mapping[str, Known], changes: Mapping[str, Change], *, without: str | None = None
) -> set[str]:
    """Write changes down; the entries that have something to do now. `without`: an entry whose copies are forgotten."""
    forgotten = [(path,) for path, change in changes.items() if change.file is None and known[path].file is not None]
    if forgotten:
        tx.each("DELETE FROM sync_copies WHERE path IN (SELECT path FROM {rows})", "path TEXT", forgotten)
        tx.each("DELETE FROM sync_files WHERE path IN (SELECT path FROM {rows})", "path TEXT", forgotten)
    files, copies = [], []
    busy: set[str] = set()
    moved: Counter[tallies.Standing | None] = Counter()
    for path, change in changes.items():
        file, before = change.file, known[path]
        after = _copies_after(before, change, without)
        was_late, late = _late(*before), _late(file, after)
        fid = fid_of(path)
        was, now = _standing(fid, *before, was_late), _standing(fid, file, after, late)
        if was != now:
            moved[was] -= 1
            moved[now] += 1
        if file is None:
            continue
        if file != before.file:
            files.append(_file_row(fid, file))
        busy |= late
        touched = change.copies.keys() | (late ^ was_late) | (late - before.copies.keys())
        copies += [
            _copy_row(path, after.get(entry) or Copy(entry), entry in late) for entry in touched if entry != without
        ]
    _put_files(tx, files)
    _put_copies(tx, copies)
    if without is not None:
        _drop_copies(tx, without, changes)
    tallies.change(tx, moved)
    return busy


def _copies_after(before: Known, change: Change, without: str | None) -> dict[str, Copy]:
    after = before.copies | change.copies
    if without is not None:
        after.pop(without, None)
    return after


def _late(file: File | None, copies: Mapping[str, Copy]) -> set[str]:
    """Entries that have something to do about the file."""
    return set() if file is None else {entry for entry in file.owners if behind(file, copies.get(entry), entry)}


def _standing(fid: str, file: File | None, copies: Mapping[str, Copy], late: set[str]) -> tallies.Standing | None:
    if file is None or file.content is None:
        return None
    holders = late.union([entry for entry, copy in copies.items() if copy.content is not None])
    return tallies.standing(fid, holders, bool(late))


def _put_files(tx: Transaction, rows: list[tuple[object, ...]]) -> None:
    tx.each(
        "INSERT INTO sync_files (path, fid, version, hash, size, mtime, mode, owners, origin, past) SELECT r.path,"
        " r.fid, r.version, r.hash, r.size, r.mtime, r.mode, r.owners, r.origin, r.past FROM {rows} WHERE true"
        " ON CONFLICT (path) DO UPDATE SET version = excluded.version, hash = excluded.hash, size = excluded.size,"
        " mtime = excluded.mtime, mode = excluded.mode, owners = excluded.owners, origin = excluded.origin,"
        " past = excluded.past",
        "path TEXT, fid TEXT, version BIGINT, hash TEXT, size BIGINT, mtime BIGINT, mode BIGINT, owners TEXT,"
        " origin TEXT, past TEXT",
        rows,
    )


def _put_copies(tx: Transaction, rows: list[tuple[object, ...]]) -> None:
    tx.each(
        "INSERT INTO sync_copies"
        " (entry, path, version, hash, size, mtime, mode, revision, keep_as, held, behind)"
        " SELECT r.entry, r.path, r.version, r.hash, r.size, r.mtime, r.mode, r.revision, r.keep_as, r.held, r.behind"
        " FROM {rows} WHERE true ON CONFLICT (entry, path) DO UPDATE SET version = excluded.version,"
        " hash = excluded.hash, size = excluded.size, mtime = excluded.mtime, mode = excluded.mode,"
        " revision = excluded.revision, keep_as = excluded.keep_as, held = excluded.held, behind = excluded.behind",
        "entry TEXT, path TEXT, version BIGINT, hash TEXT, size BIGINT, mtime BIGINT, mode BIGINT, revision TEXT,"
        " keep_as TEXT, held BIGINT, behind BIGINT",
        rows,
    )


def _drop_copies(tx: Transaction, entry: str, paths: Collection[str]) -> None:
    sql = "DELETE FROM sync_copies WHERE entry = :entry AND path IN (SELECT path FROM {rows})"
    tx.each(sql, "path TEXT", [(path,) for path in paths], entry=entry)


def behind_of(tx: Transaction, entry: str, after: str, limit: int) -> list[str]:
    """Paths past this one about which the entry has something to do."""
    sql = "SELECT path FROM sync_copies WHERE entry = :entry AND behind = 1 AND path > :after ORDER BY path LIMIT :most"
    return [path for (path,) in tx.all(sql, entry=entry, after=after, most=limit)]


def leaving(tx: Transaction, entry: str, hashes: Collection[str], limit: int) -> list[str]:
    """Paths of such contents that the entry is to delete. Put so that SQLite looks each content up: else it goes
    through all that the entry has to do, which is a million files in a first sync."""
    return [path for (path,) in tx.each(
        "SELECT c.path FROM sync_copies c JOIN sync_files f ON f.path = c.path WHERE c.entry = :entry AND c.behind = 1"
        " AND c.hash IS NOT NULL AND c.hash IN (SELECT hash FROM {rows}) AND f.hash IS NULL"
        " ORDER BY c.hash LIMIT :most",
        "hash TEXT",
        [(one,) for one in hashes],
        entry=entry,
        most=limit,
    )]  # fmt: skip


def arriving(tx: Transaction, entry: str, hashes: Collection[str], limit: int) -> list[str]:
    """Paths of such contents that the entry is to get, as far as they are among the next 20,000."""
    return [path for (path,) in tx.each(
        "SELECT p.path FROM (SELECT f.path AS path, f.hash AS hash FROM sync_copies c"
        " JOIN sync_files f ON f.path = c.path WHERE c.entry = :entry AND c.behind = 1 AND f.hash IS NOT NULL"
        " ORDER BY c.path LIMIT 20000) p WHERE p.hash IN (SELECT hash FROM {rows}) ORDER BY p.path LIMIT :most",
        "hash TEXT",
        [(one,) for one in hashes],
        entry=entry,
        most=limit,
    )]  # fmt: skip


def count_behind(tx: Transaction, entry: str) -> int:
    row = tx.one("SELECT count(*) FROM sync_copies WHERE entry = :entry AND behind = 1", entry=entry)
    return int(row[0]) if row else 0


def held_of(tx: Transaction, entry: str, limit: int) -> list[str]:
    sql = "SELECT path FROM sync_copies WHERE entry = :entry AND held = 1 ORDER BY path LIMIT :most"
    return [path for (path,) in tx.all(sql, entry=entry, most=limit)]


def count_held(tx: Transaction, entry: str) -> int:
    row = tx.one("SELECT count(*) FROM sync_copies WHERE entry = :entry AND held = 1", entry=entry)
    return int(row[0]) if row else 0


def present_at(tx: Transaction, entry: str, after: str, limit: int) -> list[tuple[str, str, str, int]]:
    """(path, revision, hash, size) of what lies at an entry as far as is known, past this path."""
    return tx.all(
        "SELECT path, revision, hash, size FROM sync_copies WHERE entry = :entry AND path > :after"
        " AND hash IS NOT NULL ORDER BY path LIMIT :most",
        entry=entry,
        after=after,
        most=limit,
    )


def count_present(tx: Transaction, entry: str) -> int:
    row = tx.one("SELECT count(*) FROM sync_copies WHERE entry = :entry AND hash IS NOT NULL", entry=entry)
    return int(row[0]) if row else 0


def paths_after(tx: Transaction, after: str, limit: int) -> list[str]:
    sql = "SELECT path FROM sync_files WHERE path > :after ORDER BY path LIMIT :most"
    return [path for (path,) in tx.all(sql, after=after, most=limit)]


def owned_after(tx: Transaction, after: str, limit: int) -> list[tuple[str, tuple[str, ...], str, bool]]:
    """(path, owners, origin, whether it is not deleted) of files past this path."""
    rows = tx.all(
        "SELECT path, owners, origin, CASE WHEN hash IS NULL THEN 0 ELSE 1 END FROM sync_files WHERE path > :after"
        " ORDER BY path LIMIT :most",
        after=after,
        most=limit,
    )
    return [(path, _owners(owners), origin, bool(is_here)) for path, owners, origin, is_here in rows]


@functools.lru_cache(4_096)
def _owners(text: str) -> tuple[str, ...]:
    """Most files have the same few."""
    return _names.decode(text)


@functools.lru_cache(4_096)
def _owners_text(owners: tuple[str, ...]) -> str:
    return msgspec.json.encode(owners).decode()


def _file(row: Row) -> File:
    path, version, hash, size, mtime, mode, owners, origin, past = row
    content = None if hash is None else Content(hash, size, mtime, mode)
    return File(path, version, content, _owners(owners), origin, tuple(past.split()))


def _file_row(fid: str, file: File) -> tuple[object, ...]:
    rest = (_owners_text(file.owners), file.origin, " ".join(file.past))
    return (file.path, fid, file.version, *(file.content or _NO_CONTENT), *rest)


def _copy_row(path: str, copy: Copy, late: bool) -> tuple[object, ...]:
    rest = (copy.revision, copy.keep_as, int(copy.held), int(late))
    return (copy.entry, path, copy.version, *(copy.content or _NO_CONTENT), *rest)
