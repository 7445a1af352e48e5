"""What takes longer than a request is done page by page, and cut short it is gone on with: rules, removals."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import House, house, until, write
from tests.families.sync.test_index import NOW, Story, file, tell
from tests.families.sync.test_listing import check, count_anew, shown, stir
from tests.families.sync.test_starting import Breaking
from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.sync import actions, errands, store, store_entries, store_versions, walks
from undercroft.families.sync.http.entries import Entries as HttpEntries
from undercroft.families.sync.http.reading import Door
from undercroft.families.sync.http.rules import Rules as HttpRules
from undercroft.families.sync.kept import note
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.operations import Kept
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Request, Run
from undercroft.machinery.processes import store as processes

__all__ = ["tell"]
MANY = {b"d/%d" % n: b"%d" % n for n in range(9)}


def test_a_removal_leaves_true_tallies_after_each_page(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it ends there for good; what the entry keeps and skips goes by pages too."""
    monkeypatch.setattr(walks, "PAGE", 40)

    async def story(db: Database) -> None:
        await stir(db, seed=5)
        await db.write(note, "B", [Kept(f"{n}", f"place {n}", "h", 1, 1) for n in range(41)], NOW)
        await db.write(store_entries.note_skipped, "B", [(f"{n}", "a link") for n in range(41)], True)
        await db.write(actions.put_rules, ())
        await db.write(actions.apply_rules)
        await db.write(actions.begin_removal, "B")
        steps = 0
        while (await db.write(walks.forget, "B")).more:
            steps += 1
            with pytest.raises(AsTheyAre):
                await db.write(_compare_with_a_count)
            if steps == 2:
                await check(db)
        assert steps >= 3 + 2 + 2
        assert await db.read(_rows_of_b) == 0
        assert [entry.name for entry in await db.read(store_entries.entries)] == ["A"]
        assert not (await db.write(walks.forget, "B")).more

    tell(story)


class AsTheyAre(Exception):
    """Nothing is written."""


def _compare_with_a_count(tx: Transaction) -> None:
    kept = shown(tx)
    count_anew(tx)
    assert shown(tx) == kept
    raise AsTheyAre


def _rows_of_b(tx: Transaction) -> int:
    tables = ("copies", "versions", "skipped", "tallies")
    counts = [tx.one(f"SELECT count(*) FROM sync_{table} WHERE entry = 'B'") for table in tables]
    owned = tx.one("""SELECT count(*) FROM sync_files WHERE owners LIKE '%"B"%' OR origin = 'B'""")
    return sum(row[0] for row in [*counts, owned] if row is not None)


def test_rules_are_given_out_from_where_that_was_cut_short(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "PAGE", 4)

    async def story(db: Database) -> None:
        names = [str(n) for n in range(9)]
        await db.write(actions.note_seen, "A", [file(name) for name in names], NOW)
        await db.write(actions.put_rules, (Rule(Match(), ("A",)),))
        await db.write(actions.apply_rules)
        pages = [await db.write(walks.give_out) for _ in range(4)]
        assert [page.noticed.paths for page in pages] == [names[:4], names[4:8], names[8:], []]
        assert [page.more for page in pages] == [True, True, False, False]
        await db.write(actions.apply_rules)
        assert await db.read(store_entries.given_to) == "", "all are looked at again: A may have become one's owner"

    tell(story)


async def _gone(h: House, name: str) -> None:
    while await h.database.read(store_entries.find_entry, name):  # noqa: ASYNC110 - nobody is asked to say so
        await asyncio.sleep(0.01)


async def _all_at_a(h: House) -> None:
    await h.add("A", "B")
    write(h.folders["A"], MANY)
    await h.settle()


def test_a_killed_server_goes_on_giving_out_by_itself(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "PAGE", 2)
    monkeypatch.setattr(errands, "AFTER_FAILURE", 60)

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await _all_at_a(h)
            h.engine._term._database = Breaking(h.database, "give_out", 3)
            with pytest.raises(Refusal, match="away"):
                await h.share()
            await h.crash()
            assert await h.database.read(store_entries.given_to) == "d/3"
            await h.start()
            await h.holds(MANY)
            assert await h.database.read(store_entries.given_to) is None

    asyncio.run(story())


@pytest.mark.parametrize("times", [1, 3])
def test_a_killed_server_goes_on_with_a_removal_by_itself(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(walks, "PAGE", 2)
    monkeypatch.setattr(errands, "AFTER_FAILURE", 60)

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await _all_at_a(h)
            await h.share()
            await h.holds(MANY)
            await h.share(Rule(Match("/"), ("A",)))
            h.engine._term._database = Breaking(h.database, "forget", times)
            with pytest.raises(Refusal, match="away"):
                await h.engine.remove("B")
            assert await h.engine.status("B") == "stopped"
            with pytest.raises(Refusal, match="being removed"):
                await h.engine.begin("B")
            await h.crash()
            await h.start()
            await until(lambda: h.is_scanned("A"), "A to have looked at all")
            await _gone(h, "B")
            known = await h.database.read(store.load, [name.decode() for name in MANY])
            assert {(one.file.owners, *one.copies) for one in known.values() if one.file} == {(("A",), "A")}
            assert [one.name for one in await h.database.read(processes.all_of, "node")] == ["sync:A"]
            assert h.tree("B") == MANY, "what it holds stays where it is"

    asyncio.run(story())


def test_who_waits_no_longer_is_told_so_and_it_goes_on(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "LONGEST_WAIT", 0)

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await _all_at_a(h)
            await h.engine.put_rules((Rule(Match("/"), ("A", "B")),))
            http = HttpRules(h.database, h.engine, Door(_enter))
            assert await _answer(http.reload) == (202, "under way")
            await h.holds(MANY)
            assert await h.engine.apply_rules(within=20)
            assert await _answer(http.applied) == (200, "ok")
            await h.database.write(actions.apply_rules)
            assert await _answer(http.applied) == (200, "under way")
            await h.engine.put_rules(())
            assert await h.engine.apply_rules(within=20)
            assert await _answer(HttpEntries(h.database, h.engine, Door(_enter)).remove) == (202, "under way")
            await _gone(h, "B")
            assert not await h.database.read(store_versions.places_after, "B", "", 1)

    asyncio.run(story())


async def _enter(*_: Any, **__: Any) -> None:
    """Who comes in is another matter."""


async def _answer(run: Run) -> tuple[int, str]:
    given = await run(Request("PUT", {"name": "B"}, b"", {}, b"", Identity("a@b", (), "t"), NOW))
    return given.status, json.loads(given.body)["status"]


def test_who_is_connected_is_not_forgotten(tell: Callable[[Story], None]) -> None:
    """What he still says would make him an owner again."""
    connected, gone = {"B"}, asyncio.Event()

    async def removed(_: str) -> None:
        gone.set()

    async def story(db: Database) -> None:
        await db.write(actions.put_rules, ())
        await db.write(actions.apply_rules)
        await db.write(actions.begin_removal, "B")
        loop = errands.Errands(lambda _: None, connected.__contains__, removed)
        loop.start(db)
        assert await loop.done(errands.RULES, 5)
        assert not gone.is_set()
        connected.clear()
        assert await loop.done("B", 5)
        assert gone.is_set()
        await loop.close()

    tell(story)
