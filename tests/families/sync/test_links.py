"""The server's end of a link, by what it says to a worker over a real socket; the worker's part is played here."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.families.sync.index import NOW, index
from tests.families.sync.parts import until
from undercroft.base.clock import DAY, wall_clock
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.families.sync import actions, giving, kept, store, store_entries, store_versions, wire
from undercroft.families.sync.failing import Failing
from undercroft.families.sync.links import Link
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept, Put, Settled
from undercroft.families.sync.places import new_place
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.waves import Vanishings


class Worker:
    """What B's worker would say and hear."""

    def __init__(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.link = link
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)

    def say(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))

    async def hear(self) -> Any:
        async with asyncio.timeout(20):
            message = await wire.receive(self._reader, self._decoder)
        assert message is not None
        return message

    async def told(self, kind: type[wire.Message]) -> Any:
        """The next message of this kind."""
        while not isinstance(message := await self.hear(), kind):
            pass
        return message


Story = Callable[[Database, Worker], Awaitable[None]]


@pytest.fixture
def tell(sqlite_url: str) -> Callable[[Story], None]:
    """Run a story with A and B that share everything; B's worker is the story's, A has told of nothing."""

    def run(story: Story) -> None:
        async def whole() -> None:
            async with index(sqlite_url, "A", "B") as database, _linked(database) as worker:
                await story(database, worker)

        asyncio.run(whole())

    return run


@contextlib.asynccontextmanager
async def _linked(database: Database, early: Callable[[Link], None] = lambda _: None) -> AsyncIterator[Worker]:
    """`early` is called before the worker is set up."""
    ends = [await asyncio.open_unix_connection(sock=end) for end in socket.socketpair()]
    entries = await database.read(store_entries.entries)
    vanishings = Vanishings(entries[1], database, wall_clock)
    link = Link(entries[1], *ends[0], database, wall_clock, vanishings, lambda noticed: None, lambda: None)
    early(link)
    serving = asyncio.create_task(link.serve())
    try:
        yield Worker(link, *ends[1])
    finally:
        ends[1][1].close()
        await serving


async def _given(database: Database, worker: Worker, path: str) -> Put:
    """A has a new file, which B is given."""
    noticed = await database.write(actions.note_seen, "A", [Seen(path, Content("x", 1, 1, 0o644), "r")], NOW)
    worker.link.giving.wake(noticed.paths)
    [put] = (await worker.told(wire.Do)).puts
    assert put.path == path
    return put


def test_a_retry_that_becomes_due_while_the_database_is_read_is_not_slept_over(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock on which nothing takes time but a walk through what is behind, 60 ms; the retry is due after 50."""

    async def story(database: Database, worker: Worker) -> None:
        put = await _given(database, worker, "f")
        walks = 0
        really = store.behind_of

        def slowly(*args: Any) -> Any:
            nonlocal walks
            walks += 1
            return really(*args)

        later = time.monotonic() + giving.WALK_EVERY + 1
        monkeypatch.setattr(store, "behind_of", slowly)
        monkeypatch.setattr(giving, "time", SimpleNamespace(monotonic=lambda: later + 0.06 * walks))
        worker.say(wire.Done([], [], [wire.Failed("f", put.version, "not yet", True)]))
        assert (await worker.told(wire.Do)).puts == [put]
        assert walks

    tell(story)


def test_what_fails_is_not_asked_for_again_whenever_something_else_changes(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(database: Database, worker: Worker) -> None:
        put = await _given(database, worker, "f")
        monkeypatch.setattr(worker.link.giving, "_failing", Failing((60.0,)))
        worker.say(wire.Done([], [], [wire.Failed("f", put.version, "no room", False)]))
        await until(lambda: worker.link.giving.failed == {"f": "no room"}, "it to have failed")
        asked: list[list[str]] = []
        really = actions.to_do

        def note(tx: Any, entry: str, paths: list[str], leave: Any) -> Any:
            asked.append(paths)
            return really(tx, entry, paths, leave)

        monkeypatch.setattr(actions, "to_do", note)
        monkeypatch.setattr(store, "behind_of", lambda *_: pytest.fail("all that is behind is walked through"))
        for name in ("g", "h"):
            await _given(database, worker, name)
        assert asked == [["g"], ["h"]]

    tell(story)


def test_what_has_failed_and_is_gone_is_forgotten(tell: Callable[[Story], None]) -> None:
    async def story(database: Database, worker: Worker) -> None:
        put = await _given(database, worker, "f")
        worker.say(wire.Moving("f", 1, 2))
        await until(lambda: worker.link.transfers == {"f": (1, 2)}, "a transfer under way")
        await database.write(actions.note_seen, "A", [Seen("f", None, "")], NOW)
        worker.say(wire.Done([], [], [wire.Failed("f", put.version, "no room", False)]))
        worker.say(wire.Done([], [], [wire.Failed("kept", 0, "it could not be restored", False)]))
        await until(lambda: "kept" in worker.link.giving.failed, "both to have failed")
        assert worker.link.transfers == {}
        await until(lambda: "f" not in worker.link.giving.failed, "it to be tried again, in vain")
        assert worker.link.giving.failed == {"kept": "it could not be restored"}, "which nobody tries again"
        worker.say(wire.Scanned(0, 0.0))
        await until(lambda: worker.link.giving.failed == {}, "it to be forgotten")

    tell(story)


def test_a_worker_is_told_once_that_nothing_is_behind(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercroft.families.sync.giving.WALK_EVERY", 0.02)

    async def story(database: Database, worker: Worker) -> None:
        await worker.told(wire.InStep)
        with pytest.raises(TimeoutError):  # once
            async with asyncio.timeout(0.1):
                await worker.told(wire.InStep)
        put = await _given(database, worker, "f")
        with pytest.raises(TimeoutError):  # while it is under way
            async with asyncio.timeout(0.1):
                await worker.told(wire.InStep)
        worker.say(wire.Done([Settled(Seen("f", put.content, "r"), put.version)], [], []))
        await worker.told(wire.InStep)

    tell(story)


def test_what_is_restored_is_no_transfer_any_more(tell: Callable[[Story], None]) -> None:
    async def story(database: Database, worker: Worker) -> None:
        for path in ("f", "other"):
            worker.say(wire.Moving(path, 1, 2))
        worker.say(wire.Restored("place", Seen("f", Content("x", 2, 1, 0o644), "r")))
        await until(lambda: worker.link.transfers == {"other": (1, 2)}, "it to have arrived")

    tell(story)


def test_what_an_entry_alone_needs_is_told_to_no_other(tell: Callable[[Story], None]) -> None:
    async def story(database: Database, worker: Worker) -> None:
        alone = {"ignore": ["*.tmp"], "keep_versions": 3.0}
        for name in "AB":
            await database.write(actions.change_entry, name, {"root": f"/{name}", **alone})
        async with _linked(database) as again:
            told = (await again.told(wire.Setup)).storages
            assert told["B"][1] == {"root": "/B", **alone}
            assert told["A"][1] == {"root": "/A"}

    tell(story)


def test_a_restore_is_asked_for_until_it_was_tried(tell: Callable[[Story], None]) -> None:
    """Its process may be killed before it has begun, or before it has told."""

    async def story(database: Database, worker: Worker) -> None:
        places = {name: new_place(name) for name in "fg"}
        await database.write(kept.note, "B", [kept.Kept(name, places[name], "x", 1, 1) for name in places], NOW)
        for name in places:
            [version] = await database.read(store_versions.of_file, fid_of(name))
            await database.write(store_versions.ask_for, version.id, name)
        worker.link.hang_up()
        for _ in range(2):
            async with _linked(database) as again:
                asked = [await again.told(wire.Restore) for _ in places]
                assert {one.path: one.place for one in asked} == places

    tell(story)


def test_everything_that_is_behind_is_given_though_nobody_names_it(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a start; and where more have changed than are remembered by their names."""

    async def story(database: Database, worker: Worker) -> None:
        await _given(database, worker, "first")  # by then all that was behind at the start has been walked through
        monkeypatch.setattr(giving, "PAGE", 3)
        monkeypatch.setattr(giving, "MOST_NAMED", 5)
        names = [f"f{n}" for n in range(10)]
        seen = [Seen(name, Content(name, 1, 1, 0o644), "r") for name in names]
        worker.link.giving.wake((await database.write(actions.note_seen, "A", seen, NOW)).paths)
        given: list[str] = []
        while len(given) < len(names):
            given += [put.path for put in (await worker.told(wire.Do)).puts]
        assert given == names

    tell(story)


def test_what_is_said_before_the_worker_is_set_up_waits(tell: Callable[[Story], None]) -> None:
    """It would be taken for the end of the conversation."""

    async def story(database: Database, _: Worker) -> None:
        def early(link: Link) -> None:
            link.rescan()
            link.restore("f", "place", 1)

        async with _linked(database, early) as worker:
            heard = [type(await worker.hear()) for _ in range(5)]
            assert heard == [wire.Setup, wire.Known, wire.KnownKept, wire.Rescan, wire.Restore]

    tell(story)


def test_one_page_of_old_versions_is_dropped_at_a_time(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none while the storage is away: they would gather in the worker, in front of all that is new."""

    async def story(database: Database, worker: Worker) -> None:
        monkeypatch.setattr(worker.link._dropping, "_most", 2)
        places = [new_place(str(n)) for n in range(3)]
        old = [kept.Kept(str(n), place, "x", 1, 1) for n, place in enumerate(places)]
        await database.write(kept.note, "B", old, NOW)
        later = NOW + 40 * DAY
        for _ in range(5):
            await worker.link.drop_old(later)
        worker.link.rescan()
        asked = (await worker.told(wire.Drop)).places
        assert len(asked) == 2
        assert isinstance(await worker.hear(), wire.Rescan), "and no other page before it has answered"
        worker.say(wire.Away("no route"))
        worker.say(wire.Dropped(asked))
        await until(lambda: worker.link.away == "no route", "it to be away")
        await until(lambda: not worker.link._dropping._is_asked, "the answer")
        await worker.link.drop_old(later)
        assert not worker.link._dropping._is_asked
        worker.say(wire.Away(""))
        await until(lambda: not worker.link.away, "it to be back")
        await worker.link.drop_old(later)
        assert {*asked, *(await worker.told(wire.Drop)).places} == set(places)

    tell(story)


def test_old_versions_are_dropped_page_after_page_while_some_go(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder in which much changes more becomes old in a minute than a page."""

    async def story(database: Database, worker: Worker) -> None:
        monkeypatch.setattr(worker.link._dropping, "_most", 2)
        places = [new_place(str(n)) for n in range(5)]
        now = wall_clock()
        old = [kept.Kept(str(n), place, "x", 1, 1) for n, place in enumerate(places)]
        await database.write(kept.note, "B", old, now - 40 * DAY)
        await worker.link.drop_old(now)
        for page in (2, 2, 1):
            asked = (await worker.told(wire.Drop)).places
            assert len(asked) == page
            worker.say(wire.Dropped(asked))
        await database.write(kept.note, "B", old[:2], now - 40 * DAY)
        await until(lambda: not worker.link._dropping._is_asked, "the last answer")
        await worker.link.drop_old(now)
        await worker.told(wire.Drop)
        worker.say(wire.Dropped([]))
        await until(lambda: not worker.link._dropping._is_asked, "what can't be dropped to wait for the next minute")

    tell(story)


def test_who_asks_for_a_drop_while_one_is_looked_up_asks_for_none(tell: Callable[[Story], None]) -> None:
    async def story(database: Database, worker: Worker) -> None:
        now = wall_clock()
        await database.write(kept.note, "B", [kept.Kept("f", new_place("f"), "x", 1, 1)], now - 40 * DAY)
        await asyncio.gather(worker.link.drop_old(now), worker.link.drop_old(now))
        worker.link.rescan()
        await worker.told(wire.Drop)
        assert isinstance(await worker.hear(), wire.Rescan)

    tell(story)


def test_all_that_is_in_the_way_of_one_round_makes_way_in_one_transaction(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[tuple[str, str]]] = []
    really = actions.make_way

    def counted(tx: Any, pairs: list[tuple[str, str]], now: int) -> Any:
        calls.append(pairs)
        return really(tx, pairs, now)

    async def story(database: Database, worker: Worker) -> None:
        monkeypatch.setattr(actions, "make_way", counted)
        names = [f"d/{n}" for n in range(20)]
        worker.say(wire.Done([], [], [wire.Failed(name, 1, "in the way", False, "d") for name in names]))
        await until(lambda: bool(calls), "it to be written")
        assert calls == [[(name, "d") for name in names]]

    tell(story)


def test_room_is_looked_at_where_something_was_kept_or_failed_and_not_for_each_file_that_came(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    really = kept.to_go

    def counted(tx: Any, entry: Any, *rest: Any) -> kept.Going:
        looks.append(entry.name)
        return really(tx, entry, *rest)

    async def story(database: Database, worker: Worker) -> None:
        monkeypatch.setattr(kept, "to_go", counted)
        replaced = Kept("f", new_place("f"), "x", 10, 1)
        for number, (done, after) in enumerate(
            [
                (wire.Done([], [], []), 0),
                (wire.Done([], [], [wire.Failed("f", 1, "no room", True)]), 1),
                (wire.Done([], [replaced], []), 2),
            ]
        ):
            worker.link._dropping._left = -1
            worker.say(done)
            worker.say(wire.Moving(str(number), 1, 2))
            await until(lambda number=number: str(number) in worker.link.transfers, "both to be taken")
            assert len(looks) == after

    tell(story)


def test_who_has_hung_up_is_told_nothing(tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A write would be an error of its own, told as a fault of ours. People are told to try again."""

    async def story(database: Database, worker: Worker) -> None:
        await worker.told(wire.KnownKept)
        worker.link.hang_up()
        with pytest.raises(giving.HungUp):
            await worker.link._send(wire.Do([], [], []))
        monkeypatch.setattr(worker.link._writer, "write", lambda _: pytest.fail("it is written to"))
        worker.link.tell_storages([])
        worker.link.restore("f", "place", 1)  # it is asked for when somebody is back
        with pytest.raises(Refusal, match="try again"):
            worker.link.rescan()

    tell(story)


def test_a_worker_whose_word_can_t_be_written_down_is_told_so(tell: Callable[[Story], None]) -> None:
    heard: list[wire.Message] = []

    async def story(database: Database, worker: Worker) -> None:
        worker.say(wire.Report([Seen("f", Content("x", 2**63, 1, 0o644), "r")]))
        for _ in range(20):
            worker.say(wire.Report([Seen("more", Content("x", 1, 1, 0o644), "r")]))
        heard.append(await worker.told(wire.Refused))

    with pytest.raises(OverflowError):
        tell(story)
    assert heard


def test_others_try_again_when_an_entry_has_been_looked_at_for_the_first_time(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they could not get from it may be there now."""

    async def story(database: Database, worker: Worker) -> None:
        backs: list[int] = []
        monkeypatch.setattr(worker.link, "_on_back", lambda: backs.append(1))
        for _ in range(2):
            worker.link._note_scan(wire.Scanned(0, 0.0))
        assert backs == [1]

    tell(story)
