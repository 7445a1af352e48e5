"""One engine at a time writes the index: what another was told before, and writes when it goes on, is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.families.sync.parts import House, house, write
from tests.services.waiting import until
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.sync import store, store_entries, wire
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.operations import Settled
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.terms import Superseded, Term
from undercroft.machinery.processes import store as processes
from undercroft.machinery.processes.supervisor import Supervisor

NODE = "the other"


@contextlib.asynccontextmanager
async def other_node(h: House, folder: Path) -> AsyncIterator[Engine]:
    """It takes the entries over, as though the first had been away for longer than its lease."""
    (folder / "server of the other").mkdir()
    supervisor = Supervisor(h.database, NODE, folder / "logs of the other", wall_clock)
    engine = Engine(h.database, supervisor, folder / "server of the other", wall_clock)
    tending = asyncio.create_task(supervisor.run())
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()
        await supervisor.close()
        tending.cancel()


Story = Callable[[House], Awaitable[None]]


def tell(url: str, folder: Path, story: Story) -> None:
    async def whole() -> None:
        async with house(url, folder) as h:
            await story(h)

    asyncio.run(whole())


def test_what_a_superseded_engine_was_told_is_not_written(database_url: str, tmp_path: Path) -> None:
    """It lay in the socket while the node stood still."""

    async def story(h: House) -> None:
        await h.add("A", "B")
        await h.share(Rule(Match("/"), ("A", "B")))
        write(h.folders["A"], {b"f": b"1"})
        await h.equal("A", "B")
        link = h.engine.link("A")
        assert link is not None
        [copy] = await h.database.read(store.present_at, "A", "", 9)
        gone, done = Seen("f", None, ""), Settled(Seen("g", Content("x", 1, 1, 0o644), "r"), 1)
        async with other_node(h, tmp_path):
            for told in (wire.Report([gone]), wire.Done([done], [], []), wire.Restored("place", gone)):
                with pytest.raises(Superseded):
                    await link._take(told)
            assert await h.database.read(store.present_at, "A", "", 9) == [copy]
            await until(lambda: not h.engine.links(), "the first to be rid of its processes")

    tell(database_url, tmp_path, story)


def test_what_people_ask_of_a_superseded_engine_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    async def story(h: House) -> None:
        await h.add("A")
        async with other_node(h, tmp_path):
            options = {"root": str(h.folders["A"]), "keep_versions": 1.0}
            for asked in (
                h.engine.change("A", options),
                h.engine.end("A"),
                h.engine.remove("A"),
                h.engine.apply_rules(),
            ):
                with pytest.raises(Superseded, match="another node") as refused:
                    await asked
                assert refused.value.kind is Kind.UNAVAILABLE
            entry = await h.database.read(store_entries.find_entry, "A")
            assert entry is not None and entry.up and not entry.is_leaving and "keep_versions" not in entry.options
            process = await h.database.read(processes.find, "sync:A", NODE)
            assert process is not None and process.wanted.up

    tell(sqlite_url, tmp_path, story)


def test_a_superseded_engine_takes_no_process_back(sqlite_url: str, tmp_path: Path) -> None:
    """It stood still in the middle of its step: it has looked at its lease, and not yet at the processes."""

    async def story(h: House) -> None:
        await h.add("A")
        async with other_node(h, tmp_path):
            with pytest.raises(Superseded):
                await h.engine._put_right()
            assert await h.database.read(processes.find, "sync:A", NODE) is not None

    tell(sqlite_url, tmp_path, story)


def test_a_term_lasts_until_the_next(sqlite_url: str, tmp_path: Path) -> None:
    async def story(h: House) -> None:
        one = await Term.begin(h.database)
        assert await one.write(store_entries.take_turn) == await one.read(store_entries.term)
        two = await Term.begin(h.database)
        for ask in (one.read, one.write, one.write_once):
            with pytest.raises(Superseded):
                await ask(store_entries.term)
        assert one.is_over and not two.is_over
        assert await two.write_once(store_entries.term) == await two.read(store_entries.term)

    tell(sqlite_url, tmp_path, story)


def test_a_process_that_the_table_gives_to_another_node_is_taken_back(sqlite_url: str, tmp_path: Path) -> None:
    """One that went on for a moment may have wanted it, of a supervisor whose server nobody finds any more."""

    async def story(h: House) -> None:
        await h.add("A")
        async with other_node(h, tmp_path) as other:
            await h.engine._processes.want("A", up=True)
            assert await h.database.read(processes.find, "sync:A", NODE) is None
            await other.keep(wall_clock())
            assert await h.database.read(processes.find, "sync:A", NODE) is not None

    tell(sqlite_url, tmp_path, story)


def test_who_has_the_entries_back_begins_anew(sqlite_url: str, tmp_path: Path) -> None:
    """Another node had them while this one stood still, and has ended since."""

    async def story(h: House) -> None:
        await h.add("A")
        async with other_node(h, tmp_path) as other:
            await until(lambda: (link := other.link("A")) and link.scanned, "it to be there")
        with contextlib.suppress(Superseded):
            await h.engine.keep(wall_clock())
        await h.engine.keep(wall_clock())
        write(h.folders["A"], {b"f": b"1"})
        await until(lambda: h.is_scanned("A"), "its process to be back")
        while not await h.database.read(store.present_at, "A", "", 9):  # noqa: ASYNC110 - others write it
            await asyncio.sleep(0.01)

    tell(sqlite_url, tmp_path, story)


def test_a_server_that_stops_does_not_open_its_entries_again(sqlite_url: str, tmp_path: Path) -> None:
    async def story(h: House) -> None:
        await h.engine.close()
        assert not await h.engine.keep(wall_clock())
        assert not h.engine._board.is_open
        with contextlib.suppress(Refusal):
            assert not await h.engine.start()
        assert not h.engine._board.socket.exists()

    tell(sqlite_url, tmp_path, story)
