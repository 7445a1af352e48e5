"""The server's end of a link, by what it says to a worker over a real socket; the worker's part is played here."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.families.sync import actions, links, store_entries, wire
from undercroft.families.sync.links import Link
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.reconcile import Content, Seen

NOW = 1_800_000_000_000


class Worker:
    """What B's worker would say and hear."""

    def __init__(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.link = link
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)

    def say(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))

    async def told(self, kind: type[wire.Message]) -> Any:
        """The next message of this kind."""
        async with asyncio.timeout(5):
            while not isinstance(message := await wire.receive(self._reader, self._decoder), kind):
                assert message is not None
            return message


Story = Callable[[Database, Worker], Awaitable[None]]


@pytest.fixture
def tell(sqlite_url: str) -> Callable[[Story], None]:
    """Run a story with A and B that share everything; B's worker is the story's, A has told of nothing."""

    def run(story: Story) -> None:
        async def whole() -> None:
            database = await open_database(sqlite_url, migrations_in("undercroft.families.sync"), wall_clock, pool=2)
            try:
                for name in ("A", "B"):
                    await database.write(actions.add_entry, name, "local_storage", {"root": f"/{name}"}, NOW)
                await database.write(actions.put_rules, (Rule(Match("/"), ("A", "B")),))
                await database.write(actions.apply_rules)
                async with _linked(database) as worker:
                    await story(database, worker)
            finally:
                await database.close()

        asyncio.run(whole())

    return run


@contextlib.asynccontextmanager
async def _linked(database: Database) -> AsyncIterator[Worker]:
    ends = [await asyncio.open_unix_connection(sock=end) for end in socket.socketpair()]
    entries = await database.read(store_entries.entries)
    link = Link(entries[1], *ends[0], database, wall_clock, lambda noticed: None, lambda: None)
    serving = asyncio.create_task(link.serve(entries))
    try:
        yield Worker(link, *ends[1])
    finally:
        ends[1][1].close()
        await serving


def test_a_retry_that_becomes_due_while_the_database_is_read_is_not_slept_over(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock on which nothing takes time but a read, 30 ms; the retry is due after 50, within the second one."""

    async def story(database: Database, worker: Worker) -> None:
        await database.write(actions.note_seen, "A", [Seen("f", Content("x", 1, 1, 0o644), "r")], NOW)
        worker.link.busy.set()
        [put] = (await worker.told(wire.Do)).puts
        reads = 0
        really = links._to_give

        def slowly(*args: Any) -> Any:
            nonlocal reads
            reads += 1
            return really(*args)

        monkeypatch.setattr(links, "_to_give", slowly)
        monkeypatch.setattr(links, "time", SimpleNamespace(monotonic=lambda: 10**6 + 0.03 * reads))
        worker.say(wire.Done([], [], [wire.Failed("f", put.version, "not yet", True)]))
        assert (await worker.told(wire.Do)).puts == [put]

    tell(story)


def test_others_try_again_when_an_entry_has_been_looked_at_for_the_first_time(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they could not get from it may be there now."""

    async def story(database: Database, worker: Worker) -> None:
        backs: list[int] = []
        monkeypatch.setattr(worker.link, "_on_back", lambda: backs.append(1))
        for _ in range(2):
            await worker.link._note_scan(wire.Scanned(0, 0.0, [], []))
        assert backs == [1]

    tell(story)
