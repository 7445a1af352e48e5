"""How many files there are on each shelf: those whose ids begin with the same two letters. Ids are spread evenly.

Counted in the transaction that changes a file: of all files (entry "") and of what each entry holds or should hold,
apart where a copy is behind. So the place of any page of a list is found without counting what comes before it.
A row has the shelves of one first letter: many files that change at once are on all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from undercroft.database import Transaction
from undercroft.families.sync import store_entries

SHELVES = 256
# So many files are counted before somebody else has his turn, and the rest of a shelf.
PAGE = 2_000
ALL = ""
_DIGITS = "0123456789abcdef"

Standing = tuple[str, int, frozenset[str]]
"""Where a file stands: (first two letters of the id, 1 where some copy is behind, whoever holds or should hold it)."""
_Row = tuple[str, int, str]
"""(entry, 1 where some copy is behind, first letter)."""


def standing(fid: str, holders: Iterable[str], late: bool) -> Standing:
    return fid[:2], int(late), frozenset(holders)


def change(tx: Transaction, moved: Mapping[Standing | None, int]) -> None:
    """By so many more, or fewer; None is nowhere. For whoever has the turn (`store_entries.take_turn`)."""
    counts: dict[_Row, list[int]] = defaultdict(_none)
    for place, files in moved.items():
        if place is not None and files:
            letters, behind, holders = place
            shelf = int(letters[1], 16)
            for entry in (ALL, *holders):
                counts[entry, behind, letters[0]][shelf] += files
    rows = tx.each(
        "SELECT t.entry, t.behind, t.letter, t.files FROM {rows} JOIN sync_tallies t"
        " ON t.entry = r.entry AND t.behind = r.behind AND t.letter = r.letter",
        "entry TEXT, behind BIGINT, letter TEXT",
        list(counts),
    )
    for entry, behind, letter, before in rows:
        more = counts[entry, behind, letter]
        counts[entry, behind, letter] = list(map(int.__add__, _counts(before), more))
    _put(tx, counts)


def _none() -> list[int]:
    return [0] * len(_DIGITS)


def _counts(files: str) -> list[int]:
    return [int(count) for count in files.split()]


def _put(tx: Transaction, counts: Mapping[_Row, list[int]]) -> None:
    tx.each(
        "INSERT INTO sync_tallies (entry, behind, letter, files)"
        " SELECT r.entry, r.behind, r.letter, r.files FROM {rows} WHERE true"
        " ON CONFLICT (entry, behind, letter) DO UPDATE SET files = excluded.files",
        "entry TEXT, behind BIGINT, letter TEXT, files TEXT",
        [(*row, " ".join(map(str, files))) for row, files in counts.items()],
    )


def of(tx: Transaction, entry: str | None, behind: bool | None) -> list[tuple[str, int]]:
    """(letters, how many) in the order of ids, without empty ones. `behind` None: either."""
    which = "" if behind is None else f" AND behind = {int(behind)}"
    shelves: Counter[str] = Counter()
    sql = f"SELECT letter, files FROM sync_tallies WHERE entry = :entry{which}"
    for letter, files in tx.all(sql, entry=ALL if entry is None else entry):
        for digit, count in zip(_DIGITS, _counts(files), strict=True):
            shelves[letter + digit] += count
    return [(letters, files) for letters, files in sorted(shelves.items()) if files > 0]


def count(tx: Transaction, entry: str | None, behind: bool | None) -> int:
    return sum(files for _, files in of(tx, entry, behind))


def forget(tx: Transaction, entry: str) -> None:
    """It holds nothing any more."""
    tx.run("DELETE FROM sync_tallies WHERE entry = :entry", entry=entry)


def count_some(tx: Transaction) -> bool:
    """A page of what is not counted yet, in a database from before it was; whether there may be more.

    What changes meanwhile is counted where its shelf was, and anew with its shelf where it was not.
    """
    store_entries.take_turn(tx)
    first = shelf = store_entries.counted(tx)
    files = 0
    while shelf < SHELVES and files < PAGE:
        files += _count_shelf(tx, shelf)
        shelf += 1
    if shelf > first:
        store_entries.note_counted(tx, shelf)
    return shelf < SHELVES


def _count_shelf(tx: Transaction, shelf: int) -> int:
    """How many files are on it."""
    rows = tx.all(
        "SELECT f.path, c.entry, CASE WHEN c.hash IS NOT NULL OR c.behind = 1 THEN 1 ELSE 0 END, c.behind"
        " FROM sync_files f LEFT JOIN sync_copies c ON c.path = f.path"
        " WHERE f.hash IS NOT NULL AND f.fid >= :first AND f.fid < :last",
        first=f"{shelf:02x}",
        last=f"{shelf + 1:02x}" if shelf + 1 < SHELVES else "g",
    )
    late = {path for path, _, _, behind in rows if behind}
    files = {path for path, *_ in rows}
    found = Counter([(ALL, int(path in late)) for path in files])
    found.update((entry, int(path in late)) for path, entry, holds, _ in rows if holds)
    _put_shelf(tx, shelf, found)
    return len(files)


def _put_shelf(tx: Transaction, shelf: int, found: Mapping[tuple[str, int], int]) -> None:
    """By (entry, 1 where some copy is behind); none of all others."""
    letter, place = _DIGITS[shelf // len(_DIGITS)], shelf % len(_DIGITS)
    sql = "SELECT entry, behind, files FROM sync_tallies WHERE letter = :letter"
    before = {(entry, late): _counts(files) for entry, late, files in tx.all(sql, letter=letter)}
    counts = {(*row, letter): before.get(row) or _none() for row in before.keys() | found.keys()}
    for (entry, late, _), files in counts.items():
        files[place] = found.get((entry, late), 0)
    _put(tx, counts)
