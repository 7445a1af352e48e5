"""How workers are met: who waits for whom, and what is said to whom where something fails."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.families.sync.index import index
from tests.families.sync.parts import house, until, write
from undercroft.base.clock import wall_clock
from undercroft.database import Database
from undercroft.families.sync import store_entries, wire
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.switchboard import SOCKET, UNHEARD, Switchboard
from undercroft.families.sync.terms import Term

Story = Callable[["Meeting"], Awaitable[None]]


class Call:
    """A worker's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)

    async def hear(self) -> Any:
        async with asyncio.timeout(20):
            return await wire.receive(self._reader, self._decoder)


class Meeting:
    def __init__(self, board: Switchboard, database: Database) -> None:
        self.board = board
        self.database = database
        self._calls: list[Call] = []

    async def call(self, said: bytes) -> Call:
        folder = os.open(self.board.socket.parent, os.O_RDONLY)  # the path of a socket may have 107 bytes only
        try:
            call = Call(*await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{SOCKET}"))
        finally:
            os.close(folder)
        self._calls.append(call)
        call.writer.write(said)
        return call

    def end(self) -> None:
        for call in self._calls:
            call.writer.close()


@pytest.fixture
def tell(sqlite_url: str, tmp_path: Path) -> Callable[[Story], None]:
    """Run a story at a switchboard that knows the entry A."""

    async def stopped(name: str, reason: str) -> None:
        pytest.fail(f"{name} has stopped: {reason}")

    @contextlib.asynccontextmanager
    async def meeting() -> AsyncIterator[Meeting]:
        async with index(sqlite_url, "A") as database:
            board = Switchboard(database, tmp_path, wall_clock, lambda noticed: None, stopped)
            await board.open(await Term.begin(database))
            whole = Meeting(board, database)
            try:
                yield whole
            finally:
                whole.end()
                await board.close()

    def run(story: Story) -> None:
        async def whole() -> None:
            async with meeting() as one:
                await story(one)

        asyncio.run(whole())

    return run


def hello(entry: str = "A") -> bytes:
    return wire.packed(wire.Hello(entry))


def failing_once(really: Callable[..., Any]) -> Callable[..., Any]:
    failures = iter([OSError("the database is away")])

    def read(*arguments: Any) -> Any:
        if failure := next(failures, None):
            raise failure
        return really(*arguments)

    return read


def test_who_can_t_be_served_keeps_nobody_waiting(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next connection of an entry waits until the one before has ended, however that ended."""

    async def story(meeting: Meeting) -> None:
        monkeypatch.setattr(store_entries, "entries", failing_once(store_entries.entries))
        first = await meeting.call(hello())
        await until(lambda: "A" in meeting.board.links, "the first to be served")
        second = await meeting.call(hello())
        assert isinstance(await first.hear(), wire.Refused), "so that it comes back after a pause"
        first.writer.close()
        assert isinstance(await second.hear(), wire.Setup)

    tell(story)


def test_who_comes_while_the_database_is_away_is_refused(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:

    async def story(meeting: Meeting) -> None:
        monkeypatch.setattr(store_entries, "find_entry", failing_once(store_entries.find_entry))
        assert isinstance(await (await meeting.call(hello())).hear(), wire.Refused)
        assert isinstance(await (await meeting.call(hello())).hear(), wire.Setup)

    tell(story)


@pytest.mark.parametrize("said", [b"\x00\x00\x00\x05hello", b"\xff\xff\xff\xff", wire.packed(wire.Rescan())])
def test_who_says_what_is_no_hello_is_refused_in_one_line(tell: Callable[[Story], None], said: bytes) -> None:
    faults: list[Any] = []

    async def story(meeting: Meeting) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        assert isinstance(await (await meeting.call(said)).hear(), wire.Refused)

    with capture_logs() as logs:
        tell(story)
    assert [(line["event"], "exc_info" in line) for line in logs] == [("link_refused", False)]
    assert not faults


def test_whose_word_can_t_be_written_down_is_known(tell: Callable[[Story], None]) -> None:
    """Until it has told all that there is."""

    async def story(meeting: Meeting) -> None:
        first = await meeting.call(hello())
        assert isinstance(await first.hear(), wire.Setup)
        first.writer.write(wire.packed(wire.Report([Seen("f", Content("x", 2**63, 1, 0o644), "r")])))
        while not isinstance(await first.hear(), wire.Refused):
            assert not meeting.board.away("A")
        first.writer.close()
        second = await meeting.call(hello())
        assert isinstance(await second.hear(), wire.Setup)
        assert meeting.board.away("A") == UNHEARD
        second.writer.write(wire.packed(wire.Scanned(0, 0.0)))
        await until(lambda: not meeting.board.away("A"), "it to have told all")

    tell(story)


def test_who_is_not_to_run_is_hung_up_on(tell: Callable[[Story], None]) -> None:
    async def story(meeting: Meeting) -> None:
        assert await (await meeting.call(hello("nobody"))).hear() is None
        await meeting.database.write(store_entries.set_up, "A", False, None)
        assert await (await meeting.call(hello())).hear() is None

    tell(story)


def test_an_entry_that_comes_changes_or_goes_leaves_the_others_linked(sqlite_url: str, tmp_path: Path) -> None:
    """They may be in the middle of a first look at everything. From then on they read what the new one has."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            a = h.engine.link("A")
            await h.add("B")
            b = h.engine.link("B")
            assert h.engine.link("A") is a
            await h.share()
            write(h.folders["B"], {b"f": b"from B"})
            await h.holds({b"f": b"from B"})
            await h.engine.change("B", {"root": str(h.folders["B"]), "delete_share": 0.1})
            await until(lambda: h.engine.link("B") not in (None, b) and h.is_scanned("B"), "B with its new options")
            assert h.engine.link("A") is a
            write(h.folders["B"], {b"g": b"from B"})
            await h.holds({b"f": b"from B", b"g": b"from B"})
            await h.engine.put_rules(())
            await h.engine.apply_rules()
            await h.engine.remove("B")
            assert h.engine.link("A") is a

    asyncio.run(story())


@pytest.mark.parametrize("steps", range(5))
def test_an_opening_that_is_broken_off_leaves_no_socket_behind(tell: Callable[[Story], None], steps: int) -> None:
    async def story(meeting: Meeting) -> None:
        await meeting.board.close()
        opening = asyncio.create_task(meeting.board.open(await Term.begin(meeting.database)))
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opening
        await meeting.board.close()
        assert not meeting.board.socket.exists()

    tell(story)
