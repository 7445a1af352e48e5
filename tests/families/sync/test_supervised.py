"""What the engine and the supervisor of processes know of each other."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import house
from tests.machinery.processes.parts import deaf
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.sync import actions, store_entries, workers
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
                    await h.engine._workers.want_all(term)
            assert wanted == ["sync:A", "sync:B", "sync:C"]
            assert await h.database.read(processes.all_of, "node") == []

    asyncio.run(story())


def test_a_removed_entry_whose_process_does_not_end_is_removed_when_it_has(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ENDS_WITHIN", 0.1)

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
