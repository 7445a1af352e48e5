"""The table of kept versions."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from undercroft.base.refusals import not_found
from undercroft.database import Transaction
from undercroft.database.interface import Row
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.room import worth

# So many bytes of one are counted at the most: a size is what a disk or a server says, and a database has to hold sums.
_MOST_COUNTED = 2**44
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

    @property
    def counted(self) -> int:
        """Bytes of it, as `bytes_of` has them."""
        return min(self.size, _MOST_COUNTED)


Place = tuple[int, int, int, str]
"""Of a version in the order in which they go: (1 for a file's newest, worth, `replaced_at`, `id`)."""
FIRST: Place = (0, -1, 0, "")


def add(tx: Transaction, entry: str, versions: Sequence[KeptVersion]) -> None:
    """Of an entry. Those whose places are known already are left as they are. For whoever has the turn."""
    rows = tx.each(
        f"INSERT INTO sync_versions ({_COLUMNS}, worth, is_newest)"
        " SELECT r.id, r.path, r.entry, r.place, r.hash, r.size, r.mtime, r.replaced_at, r.fid, r.worth, r.is_newest"
        " FROM {rows} WHERE true ON CONFLICT DO NOTHING RETURNING size",
        "id TEXT, path TEXT, entry TEXT, place TEXT, hash TEXT, size BIGINT, mtime BIGINT, replaced_at BIGINT,"
        " fid TEXT, worth BIGINT, is_newest BIGINT",
        _weighed(tx, entry, versions),
    )
    _count(tx, entry, rows)


def _weighed(tx: Transaction, entry: str, versions: Sequence[KeptVersion]) -> list[tuple[Any, ...]]:
    """Rows with what they are worth. Those that were the newest of their files, and are not any more, are noted."""
    found = tx.each(
        "SELECT v.fid, v.replaced_at, v.id FROM {rows} JOIN sync_versions v"
        " ON v.fid = r.fid AND v.entry = :entry AND v.is_newest = 1",
        "fid TEXT",
        [(fid,) for fid in {version.fid for version in versions}],
        entry=entry,
    )
    newest: dict[str, tuple[int, str]] = {}
    for fid, *when in sorted(found):
        newest[fid] = (when[0], when[1])
    before = {fid: moment for fid, (moment, _) in newest.items()}
    worths = []
    for version in sorted(versions, key=lambda one: (one.replaced_at, one.id)):
        last = before.get(version.fid)
        worths.append(
            (version, worth(last if last is None or last <= version.replaced_at else None, version.replaced_at))
        )
        before[version.fid] = version.replaced_at
        mine = (version.replaced_at, version.id)
        newest[version.fid] = max(mine, newest.get(version.fid, mine))
    outdone = [(id,) for fid, _, id in found if newest[fid][1] != id]
    tx.each("UPDATE sync_versions SET is_newest = 0 WHERE id IN (SELECT id FROM {rows})", "id TEXT", outdone)
    return [(*one, worth, int(newest[one.fid][1] == one.id)) for one, worth in worths]


def _count(tx: Transaction, entry: str, sizes: Sequence[Row], sign: int = 1) -> None:
    """Versions of these sizes (`_MOST_COUNTED`) more, or fewer."""
    if change := sign * sum(min(size, _MOST_COUNTED) for (size,) in sizes):
        tx.run(
            "INSERT INTO sync_kept (entry, bytes) VALUES (:entry, :change)"
            " ON CONFLICT (entry) DO UPDATE SET bytes = sync_kept.bytes + excluded.bytes",
            entry=entry,
            change=change,
        )


def bytes_of(tx: Transaction, entry: str) -> int:
    """That an entry's versions take together."""
    row = tx.one("SELECT bytes FROM sync_kept WHERE entry = :entry", entry=entry)
    return int(row[0]) if row else 0


def of_file(tx: Transaction, fid: str, offset: int = 0, limit: int = 1_000) -> list[KeptVersion]:
    """The last ones first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM sync_versions WHERE fid = :fid AND going = 0"
        " ORDER BY replaced_at DESC, id LIMIT :most OFFSET :skip",
        fid=fid,
        most=limit,
        skip=offset,
    )
    return [KeptVersion._make(row) for row in rows]


def find(tx: Transaction, fid: str, id: str) -> KeptVersion | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM sync_versions WHERE id = :id AND fid = :fid AND going = 0", id=id, fid=fid)
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
        " AND asked_as IS NULL AND (replaced_at, id) > (:moment, :id) ORDER BY replaced_at, id LIMIT :most",
        entry=entry,
        before=before,
        moment=after[0],
        id=after[1],
        most=limit,
    )
    return [KeptVersion._make(row) for row in rows]


def least_worth(tx: Transaction, entry: str, before: int, after: Place, limit: int) -> list[tuple[Place, KeptVersion]]:
    """In the order in which they go, past this place: those that are no file's newest, by worth and age, then those
    that are and were replaced before this moment."""
    is_newest, worth, moment, id = after
    found: list[Row] = []
    if not is_newest:
        found = tx.all(
            f"SELECT 0, worth, {_COLUMNS} FROM sync_versions WHERE entry = :entry AND is_newest = 0"
            " AND (worth, replaced_at, id) > (:worth, :moment, :id) AND asked_as IS NULL"
            " ORDER BY worth, replaced_at, id LIMIT :most",
            entry=entry, worth=worth, moment=moment, id=id, most=limit,
        )  # fmt: skip
        moment, id = 0, ""
    if len(found) < limit:
        found += tx.all(
            f"SELECT 1, worth, {_COLUMNS} FROM sync_versions WHERE entry = :entry AND replaced_at < :before"
            " AND (replaced_at, id) > (:moment, :id) AND is_newest = 1 AND asked_as IS NULL"
            " ORDER BY replaced_at, id LIMIT :most",
            entry=entry, before=before, moment=moment, id=id, most=limit - len(found),
        )  # fmt: skip
    versions = [(newest, worth, KeptVersion._make(row)) for newest, worth, *row in found]
    return [((newest, worth, one.replaced_at, one.id), one) for newest, worth, one in versions]


def let_go(tx: Transaction, entry: str, places: Collection[str]) -> list[str]:
    """They are listed no more, and restored no more; but for those that somebody has asked for meanwhile. The rest."""
    return [place for (place,) in tx.each(
        "UPDATE sync_versions SET going = 1 WHERE entry = :entry AND place IN (SELECT place FROM {rows})"
        " AND asked_as IS NULL RETURNING place",
        "place TEXT",
        [(place,) for place in places],
        entry=entry,
    )]  # fmt: skip


def going(tx: Transaction, entry: str, limit: int) -> list[str]:
    """Places of those that its process was asked to drop."""
    sql = "SELECT place FROM sync_versions WHERE entry = :entry AND going = 1 LIMIT :most"
    return [place for (place,) in tx.all(sql, entry=entry, most=limit)]


def keep_on(tx: Transaction, entry: str, places: Collection[str]) -> None:
    """They could not be dropped."""
    sql = "UPDATE sync_versions SET going = 0 WHERE entry = :entry AND place IN (SELECT place FROM {rows})"
    tx.each(sql, "place TEXT", [(place,) for place in places], entry=entry)


def ask_for(tx: Transaction, id: str, path: str) -> None:
    """It is to have this name again. Raises Refusal(NOT_FOUND) where it is gone, or about to."""
    if not tx.run("UPDATE sync_versions SET asked_as = :path WHERE id = :id AND going = 0", id=id, path=path):
        raise not_found("version", f"version {id[:100]} not found")


def asked_for(tx: Transaction, entry: str) -> list[tuple[str, str, int]]:
    """(path, place, size) of those that are to have a name again, and have not yet."""
    sql = "SELECT asked_as, place, size FROM sync_versions WHERE entry = :entry AND asked_as IS NOT NULL ORDER BY id"
    return [(path, place, size) for path, place, size in tx.all(sql, entry=entry)]


def answer(tx: Transaction, entry: str, place: str) -> None:
    """It was tried."""
    tx.run("UPDATE sync_versions SET asked_as = NULL WHERE entry = :entry AND place = :place", entry=entry, place=place)


def forget(tx: Transaction, entry: str, places: Collection[str]) -> None:
    """For whoever has the turn."""
    rows = tx.each(
        "DELETE FROM sync_versions WHERE entry = :entry AND place IN (SELECT place FROM {rows}) RETURNING size",
        "place TEXT",
        [(place,) for place in places],
        entry=entry,
    )
    _count(tx, entry, rows, -1)


def forget_some(tx: Transaction, entry: str, limit: int) -> bool:
    """Of a removed entry's; whether there were any."""
    places = places_after(tx, entry, "", limit)
    forget(tx, entry, places)
    if not places:
        tx.run("DELETE FROM sync_kept WHERE entry = :entry", entry=entry)
    return bool(places)


def without_file(tx: Transaction, limit: int) -> list[tuple[str, str]]:
    """(id, path) of rows from before they had their file's id."""
    return tx.all("SELECT id, path FROM sync_versions WHERE fid = '' LIMIT :most", most=limit)


def put_files(tx: Transaction, fids: list[tuple[str, str]]) -> None:
    """(id, fid)."""
    tx.each("UPDATE sync_versions SET fid = r.fid FROM {rows} WHERE sync_versions.id = r.id", "id TEXT, fid TEXT", fids)
