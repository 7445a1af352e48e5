"""The table of kept versions."""

from collections.abc import Collection
from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.sync.names import fid_of

_COLUMNS = "id, path, entry, place, hash, size, mtime, replaced_at, fid"


class KeptVersion(NamedTuple):
    id: str
    path: str
    entry: str
    place: str
    """Where the entry keeps it."""
    hash: str
    size: int
    mtime: int
    replaced_at: int
    fid: str


def add(tx: Transaction, versions: list[KeptVersion]) -> None:
    """Those whose places are known already are left as they are."""
    tx.each(
        f"INSERT INTO sync_versions ({_COLUMNS})"
        " SELECT r.id, r.path, r.entry, r.place, r.hash, r.size, r.mtime, r.replaced_at, r.fid FROM {rows} WHERE true"
        " ON CONFLICT DO NOTHING",
        "id TEXT, path TEXT, entry TEXT, place TEXT, hash TEXT, size BIGINT, mtime BIGINT, replaced_at BIGINT,"
        " fid TEXT",
        versions,
    )


def of_file(tx: Transaction, fid: str, offset: int = 0, limit: int = 1_000) -> list[KeptVersion]:
    """The last ones first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM sync_versions WHERE fid = :fid ORDER BY replaced_at DESC, id LIMIT :most OFFSET :skip",
        fid=fid,
        most=limit,
        skip=offset,
    )
    return [KeptVersion._make(row) for row in rows]


def find(tx: Transaction, fid: str, id: str) -> KeptVersion | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM sync_versions WHERE id = :id AND fid = :fid", id=id, fid=fid)
    return None if row is None else KeptVersion._make(row)


def paths_of(tx: Transaction, fids: Collection[str]) -> dict[str, str]:
    """By id, of files of which something is known or kept; its own name rather than one that was made up."""
    wanted = [(fid,) for fid in fids]
    kept = tx.each(
        "SELECT DISTINCT v.fid, v.path FROM {rows} JOIN sync_versions v ON v.fid = r.fid", "fid TEXT", wanted
    )
    found: dict[str, str] = dict(sorted(kept, key=lambda row: fid_of(row[1]) == row[0]))
    files = "SELECT f.fid, f.path FROM {rows} JOIN sync_files f ON f.fid = r.fid AND f.hash IS"
    for state in ("NULL", "NOT NULL"):  # each has its index
        found.update(tx.each(f"{files} {state}", "fid TEXT", wanted))
    return found


def newest_place(tx: Transaction, entry: str, before: str) -> str:
    """ "" where none is known."""
    sql = "SELECT max(place) FROM sync_versions WHERE entry = :entry AND place < :before"
    row = tx.one(sql, entry=entry, before=before)
    return (row and row[0]) or ""


def places_after(tx: Transaction, entry: str, after: str, limit: int) -> list[str]:
    sql = "SELECT place FROM sync_versions WHERE entry = :entry AND place > :after ORDER BY place LIMIT :most"
    return [place for (place,) in tx.all(sql, entry=entry, after=after, most=limit)]


def replaced_before(tx: Transaction, entry: str, before: int, after: tuple[int, str], limit: int) -> list[KeptVersion]:
    """The oldest first, past one (`replaced_at`, `id`)."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM sync_versions WHERE entry = :entry AND replaced_at < :before"
        " AND (replaced_at, id) > (:moment, :id) ORDER BY replaced_at, id LIMIT :most",
        entry=entry,
        before=before,
        moment=after[0],
        id=after[1],
        most=limit,
    )
    return [KeptVersion._make(row) for row in rows]


def ask_for(tx: Transaction, id: str, path: str) -> None:
    """It is to have this name again."""
    tx.run("UPDATE sync_versions SET asked_as = :path WHERE id = :id", id=id, path=path)


def asked_for(tx: Transaction, entry: str) -> list[tuple[str, str, int]]:
    """(path, place, size) of those that are to have a name again, and have not yet."""
    sql = "SELECT asked_as, place, size FROM sync_versions WHERE entry = :entry AND asked_as IS NOT NULL ORDER BY id"
    return [(path, place, size) for path, place, size in tx.all(sql, entry=entry)]


def answer(tx: Transaction, entry: str, place: str) -> None:
    """It was tried."""
    tx.run("UPDATE sync_versions SET asked_as = NULL WHERE entry = :entry AND place = :place", entry=entry, place=place)


def forget(tx: Transaction, entry: str, places: Collection[str]) -> None:
    tx.each(
        "DELETE FROM sync_versions WHERE entry = :entry AND place IN (SELECT place FROM {rows})",
        "place TEXT",
        [(place,) for place in places],
        entry=entry,
    )


def forget_some(tx: Transaction, entry: str, limit: int) -> bool:
    """Of a removed entry's; whether there were any."""
    places = places_after(tx, entry, "", limit)
    forget(tx, entry, places)
    return bool(places)


def without_file(tx: Transaction, limit: int) -> list[tuple[str, str]]:
    """(id, path) of rows from before they had their file's id."""
    return tx.all("SELECT id, path FROM sync_versions WHERE fid = '' LIMIT :most", most=limit)


def put_files(tx: Transaction, fids: list[tuple[str, str]]) -> None:
    """(id, fid)."""
    tx.each("UPDATE sync_versions SET fid = r.fid FROM {rows} WHERE sync_versions.id = r.id", "id TEXT, fid TEXT", fids)
