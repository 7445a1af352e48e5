"""What the engine and the supervisor of processes know of each other."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.families.sync.parts import House, house, until
from tests.machinery.processes.parts import deaf
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.sync import actions, entry_processes, store_entries, switchboard, wire
from undercroft.families.sync.looking import standing
from undercroft.families.sync.terms import Term
from undercroft.machinery.processes import children
from undercroft.machinery.processes import store as processes


def test_a_node_takes_all_entries_or_none(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be killed, or the database go away, between any two."""
    wanted: list[str] = []
    really = processes.want

    def want(tx: Any, name: str, *rest: Any) -> None:
        wanted.append(name)
        assert len(wanted) < 3, "the third breaks off"
        really(tx, name, *rest)

    async def story() -> None:
        async with house(database_url, tmp_path) as h:
            for name in "ABC":
                await h.database.write(actions.add_entry, name, "local_storage", {"root": f"/{name}"}, wall_clock())
            term = await Term.begin(h.database)
            with monkeypatch.context() as patch:
                patch.setattr(processes, "want", want)
                with pytest.raises(AssertionError, match="the third"):
                    await h.engine._processes.want_all(term)
            assert wanted == ["sync:A", "sync:B", "sync:C"]
            assert await h.database.read(processes.all_of, "node") == []

    asyncio.run(story())


def test_a_removed_entry_whose_process_does_not_end_is_removed_when_it_has(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_processes, "ENDS_WITHIN", 0.1)

    async def story() -> None:
        async with house(database_url, tmp_path) as h:
            await h.add("A", "B")
            pid = h.pid("A")
            with monkeypatch.context() as patch:
                deaf(patch, pid)
                with pytest.raises(Refusal, match="has not ended yet") as refused:
                    await h.engine.remove("A")
                assert refused.value.kind is Kind.UNAVAILABLE
                await h.engine.end("B")
                await h.database.write(store_entries.set_up, "B", True, None)
                await h.engine.keep(wall_clock())
                process = await h.database.read(processes.find, "sync:A")
                assert process is not None and process.child is not None and process.child.pid == pid
                entry = await h.database.read(store_entries.find_entry, "A")
                assert entry is not None and entry.is_leaving
                other = await h.database.read(processes.find, "sync:B")
                assert other is not None and other.wanted.up, "what else there is to do is done"
            assert children.created_at(pid) is not None
            os.killpg(pid, signal.SIGKILL)
            assert await h.supervisor.settled("sync:A")
            await h.engine.keep(wall_clock())
            assert await h.engine._errands.done("A", 5)
            assert await h.database.read(processes.find, "sync:A") is None
            assert await h.database.read(store_entries.find_entry, "A") is None

    asyncio.run(story())


async def add_without_process(h: House, name: str) -> None:
    """It is to run, and its process has still to be started. The test plays it: it comes when that wants it to."""
    await h.database.write(actions.add_entry, name, "local_storage", {"root": f"/{name}"}, wall_clock())


class Played:
    """A process that has connected, and says what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)

    async def hear(self) -> Any:
        async with asyncio.timeout(10):
            return await wire.receive(self._reader, self._decoder)


async def connect(h: House, name: str) -> Played:
    descriptor = os.open(h.engine._board.socket.parent, os.O_RDONLY)  # the path of a socket may have 107 bytes only
    try:
        played = Played(*await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}/{switchboard.SOCKET}"))
    finally:
        os.close(descriptor)
    played.writer.write(wire.packed(wire.Hello(name)))
    return played


def test_who_asks_an_entry_whose_process_is_being_started_waits_for_it(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await add_without_process(h, "A")
            asked = asyncio.create_task(h.engine.running("A"))
            played = await connect(h, "A")
            (await asked).rescan()
            heard = [type(await played.hear()) for _ in range(4)]
            assert heard == [wire.Setup, wire.Known, wire.KnownKept, wire.Rescan]
            link = h.engine.link("A")
            assert link is not None
            link.hang_up()
            again = asyncio.create_task(h.engine._board.meet("A"))  # before anybody has noticed
            next_one = await connect(h, "A")
            assert (await again) is not link
            next_one.writer.close()
            played.writer.close()
            monkeypatch.setattr(switchboard, "MET_WITHIN", 0.05)
            await add_without_process(h, "B")
            with pytest.raises(Refusal, match="is being started; try again") as refused:
                await h.engine.running("B")
            assert refused.value.kind is Kind.UNAVAILABLE
            await h.database.write(store_entries.set_up, "B", False, None)
            for name in ("B", "never"):
                with pytest.raises(Refusal, match="is not running") as refused:
                    await h.engine.running(name)
                assert refused.value.kind is Kind.CONFLICT

    asyncio.run(story())


def test_a_process_that_ends_again_and_again_is_told_of(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await add_without_process(h, "A")
            entry = await h.database.read(actions.require_entry, "A")
            assert h.engine.away(entry) == ""
            await h.engine._processes.want("A", up=True)
            await until(lambda: "times in a row" in h.engine.away(entry), "it to be told")
            status, reason = await standing(h.engine, entry)
            assert status in ("active", "starting")
            assert reason is not None and reason.startswith("its process ended with 127, ")
            assert h.engine.away(entry._replace(up=False)) == ""

    asyncio.run(story())


def test_a_process_that_runs_and_does_not_connect_is_told_of(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was stopped at once. A minute is shorter here."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            entry = await h.database.read(actions.require_entry, "A")
            with monkeypatch.context() as patch:
                patch.setattr(entry_processes, "CONNECTS_WITHIN", 0.001)
                assert h.engine.away(entry) == "", "it is there"
                patch.setattr(h.engine._board, "links", {})
                assert "has not connected" in h.engine.away(entry)
                patch.setattr(entry_processes, "CONNECTS_WITHIN", 3_600.0)
                with monkeypatch.context() as aged:
                    aged.setattr(entry_processes, "age", lambda _: 3_601.0)
                    assert h.engine.away(entry) == "", "it has just been there"
                patch.setattr(h.engine._board, "_opened_at", -3_601.0 + time.monotonic())
                assert h.engine.away(entry) == "", "it has just been started"
                patch.setattr(entry_processes, "age", lambda _: 3_601.0)
                assert "has not connected" in h.engine.away(entry)
            assert 0 <= children.age(h.supervisor._known["sync:A"].created) < 3_600
            await h.engine.stand_down()
            assert h.engine._board.missing_for("A") == 0, "nobody is waited for"

    asyncio.run(story())
