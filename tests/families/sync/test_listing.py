"""Pages of lists, found by tallies: every page of every list is what a plain look at everything gives."""

import random
from collections.abc import Callable

import pytest

from tests.families.sync.test_index import NOW, Story, file, tell
from undercroft.database import Database, Transaction
from undercroft.families.sync import actions, listing, store, store_entries, tallies, walks
from undercroft.families.sync.listing import Wanted
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Delete, Settled
from undercroft.families.sync.reconcile import Content, Seen, behind

__all__ = ["tell"]
NAMES = [f"d{n % 7}/{n}%_!.txt" for n in range(120)]
LISTS = [
    Wanted(entry, text, late)
    for entry in (None, "A", "B", "C")
    for text in (None, "9%_!")
    for late in (None, True, False)
]


def expected(tx: Transaction, wanted: Wanted) -> list[str]:
    """Ids in their order, by looking at every file."""
    found = []
    for path, (known, copies) in store.load(tx, NAMES).items():
        if known is None or known.content is None:
            continue
        late = {entry for entry in "AB" if behind(known, copies.get(entry), entry)}
        holders = late | {entry for entry, copy in copies.items() if copy.content is not None}
        by_entry = wanted.entry is None or wanted.entry in holders
        by_text = wanted.text is None or wanted.text in path
        if by_entry and by_text and wanted.behind in (None, bool(late)):
            found.append(fid_of(path))
    return sorted(found)


async def stir(db: Database, seed: int) -> None:
    """Files come, change, vanish, and are carried out here and there."""
    chance = random.Random(seed)
    for step in range(12):
        entry = chance.choice("AB")
        some = chance.sample(NAMES, 30)
        here = [file(name, str(chance.randrange(3))) for name in some[:20]]
        gone = [Seen(name, None, "") for name in some[20:]]
        await db.write(actions.note_seen, entry, here + gone, NOW + step, hold=chance.random() < 0.2)
        todo = await db.read(actions.to_do, entry, chance.sample(NAMES, 60))
        done = [
            Settled(Seen(one.path, None if isinstance(one, Delete) else one.content, f"{entry}{step}"), one.version)
            for one in todo
        ]
        await db.write(actions.settle, entry, done, [], NOW + step)


async def check(db: Database) -> None:
    for wanted in LISTS:
        ids = await db.read(expected, wanted)
        pages = [await db.read(listing.page, at, 9, wanted) for at in range(0, len(ids) + 9, 9)]
        assert [one.fid for page in pages for one in page] == ids, wanted


@pytest.mark.parametrize("few", [0, 50, 1_000])
def test_every_page_of_every_list(tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(listing, "FEW", few)

    async def story(db: Database) -> None:
        await stir(db, seed=few)
        await check(db)

    tell(story)


def shown(tx: Transaction) -> list[tuple[str, int, str, str]]:
    """All tallies but those of nothing."""
    rows = tx.all("SELECT entry, behind, letter, files FROM sync_tallies ORDER BY entry, behind, letter")
    return [row for row in rows if set(row[3]) != {"0", " "}]


def count_anew(tx: Transaction) -> None:
    _empty(tx)
    while tallies.count_some(tx):
        pass


def test_tallies_are_what_a_count_finds(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await stir(db, seed=3)
        kept = await db.read(shown)
        assert kept
        await db.write(count_anew)
        assert await db.read(shown) == kept
        await db.write(actions.put_rules, ())
        await db.write(actions.apply_rules)
        await db.write(actions.begin_removal, "B")
        while (await db.write(walks.forget, "B")).more:
            pass
        kept = await db.read(shown)
        assert {entry for entry, *_ in kept} == {"", "A"}
        await db.write(count_anew)
        assert await db.read(shown) == kept
        await check(db)

    tell(story)


def test_files_are_counted_in_steps_and_others_change_them_in_between(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill cuts short is gone on with: how far it is stands in the database."""

    async def story(db: Database) -> None:
        assert await db.read(store_entries.counted) == tallies.SHELVES, "nothing of a new database is to be counted"
        await stir(db, seed=5)
        await db.write(_empty)
        monkeypatch.setattr(tallies, "PAGE", 3)
        steps = 0
        while await db.write(tallies.count_some):
            steps += 1
            if steps == 2:
                await stir(db, seed=6)
        assert steps > 5
        assert not await db.write(tallies.count_some)
        kept = await db.read(shown)
        monkeypatch.undo()
        await db.write(count_anew)
        assert await db.read(shown) == kept

    tell(story)


def test_a_far_page_of_many_is_found_without_counting(tell: Callable[[Story], None]) -> None:
    """Some thousand files: what is skipped is less than a shelf."""
    many = [Seen(f"f{n}", Content("x", 1, 1, 0o644), "r") for n in range(3_000)]
    ids = sorted(fid_of(one.path) for one in many)

    async def story(db: Database) -> None:
        await db.write(actions.note_seen, "A", many, NOW)
        for at in (0, 1, 1_499, 2_990, 2_999, 3_000, 9_999):
            for wanted in (Wanted(), Wanted("A"), Wanted("B", behind=True), Wanted(behind=True)):
                found = await db.read(listing.page, at, 20, wanted)
                assert [one.fid for one in found] == ids[at : at + 20]
        assert max(files for _, files in await db.read(tallies.of, None, None)) < 40
        assert await db.read(listing.page, 0, 20, Wanted(behind=False)) == []
        counted = await db.read(tallies.of, None, None)
        await db.write(_empty)
        while await db.write(tallies.count_some):
            pass
        assert await db.read(tallies.of, None, None) == counted, "the last shelf, too"

    tell(story)


def _empty(tx: Transaction) -> None:
    """As after an upgrade from before they were kept."""
    tx.run("DELETE FROM sync_tallies")
    store_entries.note_counted(tx, 0)
