"""The tables of files and of their copies."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.database.interface import Row
from undercroft.families.sync import tallies
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.reconcile import Change, Content, Copy, File, behind

_FILE = "path, version, hash, size, mtime, mode, owners, origin, past"
_COPY = "entry, version, hash, size, mtime, mode, revision, keep_as, held"
_names = msgspec.json.Decoder(tuple[str, ...])


class Known(NamedTuple):
    """A file with all its copies, by entry."""

    file: File | None
    copies: dict[str, Copy]


def load(tx: Transaction, paths: Collection[str]) -> dict[str, Known]:
    """By path; one that nobody knows has no file."""
    wanted = [(path,) for path in paths]
    found = {path: Known(None, {}) for path in paths}
    columns = ", ".join("f." + name for name in _FILE.split(", "))
    for row in tx.each(f"SELECT {columns} FROM {{rows}} JOIN sync_files f ON f.path = r.path", "path TEXT", wanted):
        found[row[0]] = Known(_file(row), {})
    columns = ", ".join("c." + name for name in _COPY.split(", "))
    sql = f"SELECT c.path, {columns} FROM {{rows}} JOIN sync_copies c ON c.path = r.path"
    for path, *columns_of_copy in tx.each(sql, "path TEXT", wanted):
        found[path].copies[columns_of_copy[0]] = _copy(tuple(columns_of_copy))
    return found


def save(tx: Transaction, known: Mapping[str, Known], changes: Mapping[str, Change]) -> set[str]:
    """Write changes down; the entries that have something to do now."""
    forgotten = [(path,) for path, change in changes.items() if change.file is None and known[path].file is not None]
    if forgotten:
        tx.each("DELETE FROM sync_copies WHERE path IN (SELECT path FROM {rows})", "path TEXT", forgotten)
        tx.each("DELETE FROM sync_files WHERE path IN (SELECT path FROM {rows})", "path TEXT", forgotten)
    files, copies = [], []
    busy: set[str] = set()
    moved: Counter[tallies.Shelf] = Counter()
    for path, change in changes.items():
        file, before = change.file, known[path]
        was = _standing(*before)
        after = {**before.copies, **change.copies}
        now = _standing(file, after)
        if (was.holders, bool(was.late)) != (now.holders, bool(now.late)):
            fid = fid_of(path)
            moved.subtract(tallies.shelves(fid, was.holders, bool(was.late)))
            moved.update(tallies.shelves(fid, now.holders, bool(now.late)))
        if file is None:
            continue
        if file != before.file:
            files.append(_file_row(file))
        busy |= now.late
        for entry in {*after, *now.late}:
            late = entry in now.late
            if entry in change.copies or late != (entry in was.late) or (late and entry not in before.copies):
                copies.append(_copy_row(path, after.get(entry, Copy(entry)), late))
    _put_files(tx, files)
    _put_copies(tx, copies)
    tallies.change(tx, moved)
    return busy


class _Standing(NamedTuple):
    late: set[str]
    """Entries that have something to do about the file."""
    holders: set[str] | None
    """Those that hold or should hold it; None where there is no file any more."""


def _standing(file: File | None, copies: Mapping[str, Copy]) -> _Standing:
    if file is None:
        return _Standing(set(), None)
    late = {entry for entry in file.owners if behind(file, copies.get(entry), entry)}
    if file.content is None:
        return _Standing(late, None)
    return _Standing(late, late.union([entry for entry, copy in copies.items() if copy.content is not None]))


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


def forget_entry(tx: Transaction, entry: str) -> None:
    tx.run("DELETE FROM sync_copies WHERE entry = :entry", entry=entry)
    tx.run("DELETE FROM sync_skipped WHERE entry = :entry", entry=entry)


def _content(hash: str | None, size: int, mtime: int, mode: int) -> Content | None:
    return None if hash is None else Content(hash, size, mtime, mode)


def _file(row: Row) -> File:
    path, version, hash, size, mtime, mode, owners, origin, past = row
    content = _content(hash, size, mtime, mode)
    return File(path, version, content, _names.decode(owners), origin, tuple(past.split()))


def _copy(row: Row) -> Copy:
    entry, version, hash, size, mtime, mode, revision, keep_as, held = row
    return Copy(entry, version, _content(hash, size, mtime, mode), revision, keep_as, bool(held))


def _file_row(file: File) -> tuple[object, ...]:
    owners = msgspec.json.encode(file.owners).decode()
    past = " ".join(file.past)
    return (file.path, fid_of(file.path), file.version, *_columns(file.content), owners, file.origin, past)


def _copy_row(path: str, copy: Copy, late: bool) -> tuple[object, ...]:
    rest = (copy.revision, copy.keep_as, int(copy.held), int(late))
    return (copy.entry, path, copy.version, *_columns(copy.content), *rest)


def _columns(content: Content | None) -> Iterable[object]:
    return (None, 0, 0, 0) if content is None else content
