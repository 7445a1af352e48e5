"""Lists of files, and one of them: as people see them. A page costs the same wherever it is."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.sync import store, store_versions, tallies
from undercroft.families.sync.reconcile import File, up_to_date

# So few are fetched and put in order; more are walked through in the order of their ids.
FEW = 1_000
# As many kept versions are looked at for one page of deleted files.
MOST_WALKED = 20_000
# Written so that indexes alone answer them (the names of 1,000,000 files are some 80 MB, their rows 300).
_LATE = "EXISTS (SELECT 1 FROM sync_copies b WHERE b.path = f.path AND b.behind = 1)"
_AMONG_LATE = "f.path IN (SELECT path FROM sync_copies WHERE behind = 1)"
_HELD = (
    "EXISTS (SELECT 1 FROM sync_copies e WHERE e.entry = :entry AND e.path = f.path) AND f.path NOT IN"
    " (SELECT path FROM sync_copies WHERE entry = :entry AND hash IS NULL AND behind = 0)"
)


class Listed(NamedTuple):
    """A file as lists show it."""

    fid: str
    file: File
    uptodate: tuple[str, ...]
    held: tuple[str, ...]
    """Where it was deleted, as one of so many that it waits for somebody's word."""


class Wanted(NamedTuple):
    entry: str | None = None
    """What this entry holds, or should."""
    text: str | None = None
    """What their names contain, in letters of any case."""
    behind: bool | None = None
    """Whether a copy is behind."""


def find(tx: Transaction, fid: str) -> Listed | None:
    path = tx.one("SELECT path FROM sync_files WHERE fid = :fid AND hash IS NOT NULL", fid=fid)
    return None if path is None else next(iter(_listed(tx, [(fid, path[0])])), None)


def page(tx: Transaction, offset: int, limit: int, wanted: Wanted) -> list[Listed]:
    """In the order of ids. A text is looked for in every name before the page's end; all else is found by tallies."""
    if wanted.text is not None:
        return _listed(tx, _walk(tx, "", offset, limit, wanted))
    skip = offset
    for letters, files in tallies.of(tx, wanted.entry, wanted.behind):
        if skip < files:
            few = _few(tx, wanted)
            rows = _walk(tx, letters, skip, limit, wanted) if few is None else few[offset : offset + limit]
            return _listed(tx, rows)
        skip -= files
    return []


def deleted(tx: Transaction, after: str, limit: int, wanted: Wanted) -> tuple[list[tuple[str, str]], str | None]:
    """(id, path) of files that are there no more and of which versions are kept, past this id; and the id after which
    the next page begins, None at the end. A page may have fewer: what is looked at for one is bounded."""
    end = tx.one(
        "SELECT fid FROM sync_versions WHERE fid > :after ORDER BY fid LIMIT 1 OFFSET :most",
        after=after,
        most=MOST_WALKED,
    )
    conditions, given = "", {"after": after}
    if end is not None:
        conditions += " AND v.fid <= :end"
        given["end"] = end[0]
    if wanted.entry is not None:
        conditions += " AND v.entry = :entry"
        given["entry"] = wanted.entry
    if wanted.text is not None:
        conditions += " AND lower(v.path) LIKE :text ESCAPE '!'"
        given["text"] = _pattern(wanted.text)
    rows = tx.all(
        f"SELECT DISTINCT v.fid FROM sync_versions v WHERE v.fid > :after AND v.going = 0{conditions} AND NOT EXISTS"
        " (SELECT 1 FROM sync_files f WHERE f.fid = v.fid AND f.hash IS NOT NULL) ORDER BY v.fid LIMIT :most",
        most=limit + 1,
        **given,
    )
    fids = [fid for (fid,) in rows[:limit]]
    paths = store_versions.paths_of(tx, fids)
    following = fids[-1] if len(rows) > limit else (str(end[0]) if end else None)
    return [(fid, paths[fid]) for fid in fids], following


def _walk(tx: Transaction, start: str, skip: int, limit: int, wanted: Wanted) -> list[tuple[str, str]]:
    """(fid, path) from this beginning of ids on."""
    conditions, given = _conditions(tx, wanted)
    return tx.all(
        f"SELECT f.fid, f.path FROM sync_files f WHERE f.fid >= :start AND f.hash IS NOT NULL{conditions}"
        " ORDER BY f.fid LIMIT :most OFFSET :skip",
        start=start,
        most=limit,
        skip=skip,
        **given,
    )


def _few(tx: Transaction, wanted: Wanted) -> list[tuple[str, str]] | None:
    """All (fid, path), found by their copies, where those are few: in the order of ids they would be far apart."""
    if wanted.behind and _few_are_late(tx):
        paths = tx.all("SELECT path FROM sync_copies WHERE behind = 1")
    elif wanted.entry is not None and tallies.count(tx, wanted.entry, None) <= FEW:
        paths = tx.all("SELECT path FROM sync_copies WHERE entry = :entry", entry=wanted.entry)
    else:
        return None
    conditions, given = _conditions(tx, wanted)
    sql = (
        f"SELECT f.fid, f.path FROM {{rows}} JOIN sync_files f ON f.path = r.path WHERE f.hash IS NOT NULL{conditions}"
    )
    return sorted(tx.each(sql, "path TEXT", list(set(paths)), **given))


def _conditions(tx: Transaction, wanted: Wanted) -> tuple[str, dict[str, str]]:
    conditions, given = "", {}
    if wanted.entry is not None and tallies.count(tx, wanted.entry, None) < tallies.count(tx, None, None):
        conditions += f" AND {_HELD}"
        given["entry"] = wanted.entry
    if wanted.behind is not None:
        late = _AMONG_LATE if _few_are_late(tx) else _LATE
        conditions += f" AND {late}" if wanted.behind else f" AND NOT {late}"
    if wanted.text is not None:
        conditions += " AND lower(f.path) LIKE :text ESCAPE '!'"
        given["text"] = _pattern(wanted.text)
    return conditions, given


def _pattern(text: str) -> str:
    return "%" + "".join("!" + c if c in "!%_" else c for c in text.lower()) + "%"


def _few_are_late(tx: Transaction) -> bool:
    return tallies.count(tx, None, True) <= FEW


def _listed(tx: Transaction, rows: list[tuple[str, str]]) -> list[Listed]:
    known = store.load(tx, [path for _, path in rows])
    found = []
    for fid, path in rows:
        file, copies = known[path]
        if file is not None:
            uptodate = tuple(name for name in file.owners if up_to_date(file, copies.get(name)))
            held = tuple(name for name, copy in copies.items() if copy.held)
            found.append(Listed(fid, file, uptodate, held))
    return found
