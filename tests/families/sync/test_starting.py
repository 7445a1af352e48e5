"""What is cut short in the engine is done in the end: a start, a reload of the rules, the removal of an entry."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import house, until, write
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Refusal, unavailable
from undercroft.database import Database
from undercroft.families.sync import Declared, actions, keeping, kept, store_entries, store_versions
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept
from undercroft.families.sync.places import new_place
from undercroft.machinery.processes import store as processes


class Breaking:
    """A database that is away when it is asked for a certain action the n-th time, and there else.

    Where exactly a real one goes away can't be chosen.
    """

    def __init__(self, database: Database, action: str, times: int = 1) -> None:
        self._database = database
        self._action = action
        self._left = times

    async def write(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(action)
        return await self._database.write(action, *args, **kwargs)

    async def write_once(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(action)
        return await self._database.write_once(action, *args, **kwargs)

    async def read(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(query)
        return await self._database.read(query, *args, **kwargs)

    def _count(self, action: Any) -> None:
        if action.__name__ == self._action:
            self._left -= 1
            if self._left == 0:
                raise unavailable("the database is away")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def test_a_start_that_fails_half_way_is_begun_anew(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            await h.engine.stand_down()
            h.engine._database = Breaking(h.database, "_want")
            with pytest.raises(Refusal, match="away"):
                await h.engine.start()
            assert await h.engine.start()
            await until(lambda: h.is_scanned("A"), "A to have looked at all")
            assert not await h.engine.start(), "it runs"

    asyncio.run(story())


@pytest.mark.parametrize("up", [True, False])
def test_an_entry_whose_process_could_not_be_asked_for_has_it_in_the_end(
    sqlite_url: str, tmp_path: Path, up: bool
) -> None:
    """It is written down that the entry is to run, or not to; then the database goes away."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            if not up:
                await h.add("A")
            h.supervisor._database = Breaking(h.database, "want")
            with pytest.raises(Refusal, match="away"):
                await (h.add("A") if up else h.engine.end("A"))
            await h.engine.keep(wall_clock())
            assert await h.supervisor.settled("sync:A")
            assert await h.engine.status("A") == ("active" if up else "stopped")

    asyncio.run(story())


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_removal_whose_process_could_not_be_ended_is_done_in_the_end(
    sqlite_url: str, tmp_path: Path, is_killed: bool
) -> None:
    """`is_killed`: its process ends by itself before, and what is known of the entry goes at once."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            h.supervisor._database = Breaking(h.database, "want")
            with pytest.raises(Refusal, match="away"):
                await h.engine.remove("A")
            if is_killed:
                h.kill("A")
                await until(lambda: h.engine.link("A") is None, "it to be gone")
                assert await h.engine._errands.done("A")
            await h.engine.keep(wall_clock())
            assert await h.engine._errands.done("A", 5)
            assert await h.database.read(store_entries.find_entry, "A") is None
            assert await h.database.read(processes.find, "sync:A") is None

    asyncio.run(story())


def test_a_word_about_the_old_storage_stops_no_entry_that_has_another(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            served = await h.database.read(actions.require_entry, "A")
            (tmp_path / "new").mkdir()
            await h.engine.change("A", {"root": str(tmp_path / "new")})
            await h.engine._stopped(served, "the root is gone")
            entry = await h.database.read(actions.require_entry, "A")
            assert entry.up and entry.reason is None
            await h.engine._stopped(entry, "the root is gone")
            entry = await h.database.read(actions.require_entry, "A")
            assert not entry.up and entry.reason == "the root is gone"

    asyncio.run(story())


def test_what_is_declared_is_tried_again_when_the_database_went_away(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    entries = json.dumps({"A": {"driver": "local_storage", "options": {"root": str(tmp_path / "A")}}})

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.engine.stand_down()
            keep = keeping(h.engine, Breaking(h.database, "_before"), Declared(entries))
            with pytest.raises(Refusal, match="away"):
                await keep(wall_clock())
            await keep(wall_clock())
            await until(lambda: h.is_scanned("A"), "A to have looked at all")

    asyncio.run(story())


class Twice(Breaking):
    """A database whose answers to commits are lost, each once: what may be run again is."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "", 0)

    async def write(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        await self._database.write(action, *args, **kwargs)
        return await self._database.write(action, *args, **kwargs)


def test_what_is_run_again_after_a_lost_answer_says_and_does_the_same(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            h.engine._database = h.engine._board._database = h.engine._term._database = Twice(h.database)
            await h.add("A", "B", "C")
            await h.share(Rule(Match("/"), ("A", "B")))
            write(h.folders["A"], {b"f": b"1"})
            await h.equal("A", "B")
            await h.engine.end("B")
            write(h.folders["A"], {b"f": b"22"})
            write(h.folders["B"], {b"f": b"333"})
            await h.engine.begin("B")
            await until(lambda: len(h.tree("A")) == 2, "both to be kept")
            await h.equal("A", "B")
            assert len(await h.database.read(store_entries.conflicts, 9)) == 1
            (h.folders["A"] / "f").unlink()
            await until(lambda: len(h.tree("B")) == 1, "it to be deleted")
            await h.equal("A", "B")
            kept = await h.database.read(store_versions.of_file, fid_of("f"))
            assert len(kept) == len({one.place for one in kept}) >= 1
            await h.engine.confirm("A", True)
            await h.engine.remove("C")

    asyncio.run(story())


def test_a_restore_is_written_down_before_it_is_asked_for(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process may be killed before it hears of it: the next one is asked."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            place = new_place("f")
            await h.database.write(kept.note, "A", [Kept("f", place, "x", 1, 1)], wall_clock())
            [version] = await h.database.read(store_versions.of_file, fid_of("f"))
            monkeypatch.setattr(h.engine.link("A"), "restore", lambda *_: None)
            await h.engine.restore("f", version, "me")
            assert await h.database.read(store_versions.asked_for, "A") == [("f", place, 1)]

    asyncio.run(story())
