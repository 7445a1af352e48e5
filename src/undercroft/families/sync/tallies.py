"""How many files there are on each shelf: those whose ids begin with the same two letters. Ids are spread evenly.

Counted in the transaction that changes a file: of all files (entry "") and of what each entry holds or should hold,
apart where a copy is behind. So the place of any page of a list is found without counting what comes before it.
"""

from collections import Counter
from collections.abc import Iterable

from undercroft.database import Transaction

ALL = ""
_LETTERS = 2
_LATE = "CASE WHEN f.path IN (SELECT path FROM sync_copies WHERE behind = 1) THEN 1 ELSE 0 END"

Shelf = tuple[str, int, str]
"""(entry, 1 where some copy is behind, first letters of the id)."""


def shelves(fid: str, holders: Iterable[str] | None, late: bool) -> list[Shelf]:
    """Where a file stands; nowhere if it has no holders because it is not there."""
    if holders is None:
        return []
    letters, behind = fid[:_LETTERS], int(late)
    return [(ALL, behind, letters), *((entry, behind, letters) for entry in holders)]


def change(tx: Transaction, moved: Counter[Shelf]) -> None:
    """By so many more, or fewer. In one order: who changes the same shelves waits in a line."""
    tx.each(
        "INSERT INTO sync_tallies (entry, behind, shelf, files)"
        " SELECT r.entry, r.behind, r.shelf, r.files FROM {rows} WHERE true"
        " ON CONFLICT (entry, behind, shelf) DO UPDATE SET files = sync_tallies.files + excluded.files",
        "entry TEXT, behind BIGINT, shelf TEXT, files BIGINT",
        [(*shelf, files) for shelf, files in sorted(moved.items()) if files],
    )


def of(tx: Transaction, entry: str | None, behind: bool | None) -> list[tuple[str, int]]:
    """(letters, how many) in the order of ids, without empty ones. `behind` None: either."""
    which = "" if behind is None else f" AND behind = {int(behind)}"
    rows = tx.all(
        f"SELECT shelf, sum(files) FROM sync_tallies WHERE entry = :entry{which} GROUP BY shelf ORDER BY shelf",
        entry=ALL if entry is None else entry,
    )
    return [(letters, int(files)) for letters, files in rows if files > 0]


def count_first(tx: Transaction) -> None:
    """In a database from before they were kept."""
    if tx.one("SELECT 1 FROM sync_tallies LIMIT 1") is None:
        count_anew(tx)


def count_anew(tx: Transaction) -> None:
    """All of them: for what changes files otherwise than one by one."""
    tx.run("DELETE FROM sync_tallies")
    tx.run(
        "INSERT INTO sync_tallies (entry, behind, shelf, files) SELECT '', s.late, s.shelf, count(*)"
        f" FROM (SELECT {_LATE} AS late, substr(f.fid, 1, {_LETTERS}) AS shelf FROM sync_files f"
        " WHERE f.hash IS NOT NULL) s GROUP BY s.late, s.shelf"
    )
    tx.run(
        "INSERT INTO sync_tallies (entry, behind, shelf, files) SELECT s.entry, s.late, s.shelf, count(*)"
        f" FROM (SELECT c.entry, {_LATE} AS late, substr(f.fid, 1, {_LETTERS}) AS shelf"
        " FROM sync_files f JOIN sync_copies c ON c.path = f.path"
        " WHERE f.hash IS NOT NULL AND (c.hash IS NOT NULL OR c.behind = 1)) s GROUP BY s.entry, s.late, s.shelf"
    )
