"""What is said of an entry between its states, and of a fault of ours."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.families.sync.parts import House, house
from undercroft.base.refusals import Kind, Refusal, conflict, not_found, unavailable
from undercroft.families.sync import store_entries
from undercroft.families.sync.refusing import refuse
from undercroft.machinery.processes.store import Process


def test_an_entry_is_active_stopping_stopped_or_starting(sqlite_url: str, tmp_path: Path) -> None:
    """What is wanted of it, beside whether its process is there."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            assert await h.engine.status("A") == "active"
            await h.database.write(store_entries.set_up, "A", False, None)
            assert await h.engine.status("A") == "stopping"
            await h.database.write(store_entries.set_up, "A", True, None)
            await h.engine.end("A")
            assert await h.engine.status("A") == "stopped"
            await h.database.write(store_entries.set_up, "A", True, None)
            assert await h.engine.status("A") == "starting"
            with pytest.raises(Refusal, match="entry A is not running"):
                await h.engine.figures("A")

    asyncio.run(story())


def test_one_that_was_started_in_this_very_moment_has_figures(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its start is written down, so that it is said to be active, and who started it has not looked at it since."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            looking = asyncio.Event()
            really = h.supervisor._reread

            async def look_later(process: Process) -> Process:
                await looking.wait()
                return await really(process)

            monkeypatch.setattr(h.supervisor, "_reread", look_later)
            adding = asyncio.create_task(h.add("A"))
            async with asyncio.timeout(20):
                while not adding.done() and await _status(h) != "active":  # noqa: ASYNC110 - it is the table that says so
                    await asyncio.sleep(0.01)
            figures, _ = await h.engine.figures("A")
            assert figures.rss
            looking.set()
            await adding

    asyncio.run(story())


async def _status(h: House) -> str:
    try:
        return await h.engine.status("A")
    except Refusal:
        return "not there yet"


def test_a_restart_that_does_not_come_about_says_so(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")

            async def never(_name: str) -> bool:
                return False

            monkeypatch.setattr(h.supervisor, "settled", never)
            with pytest.raises(Refusal, match="did not restart in time") as told:
                await h.engine.restart("A")
            assert told.value.kind is Kind.UNAVAILABLE

    asyncio.run(story())


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (not_found("x", "why"), 404), (conflict("x", "why"), 409), (unavailable("why"), 503),
        (Refusal(Kind.INTERNAL, "internal", "why"), 500),
    ],
)  # fmt: skip
def test_whatever_is_refused_has_the_same_two_keys(refusal: Refusal, status: int) -> None:
    reply = refuse(refusal)
    assert (reply.status, json.loads(reply.body)) == (status, {"status": "error", "reason": "why"})
