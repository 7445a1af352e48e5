"""Kept versions take no more room than they may, and what is worth least goes first."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.index import NOW, index
from tests.families.sync.parts import ROOMS, house, until, write
from undercroft.app.assembly import all_migrations, assemble
from undercroft.app.settings import Settings
from undercroft.base.clock import DAY, HOUR, MINUTE, SECOND, wall_clock
from undercroft.base.ids import earliest_id
from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction, migrations_in, open_database
from undercroft.families.sync import actions, dropping, kept, listing, room, store_entries, store_versions, walks, wire
from undercroft.families.sync.dropping import Dropping
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept, LeftKept, Room
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.switchboard import SOCKET
from undercroft.families.sync.terms import Term

Story = Callable[[Database], Awaitable[None]]
GIB = 2**30
# The first moment of a day.
MIDNIGHT = NOW // DAY * DAY


@pytest.fixture
def tell(database_url: str) -> Callable[[Story], None]:
    """Run a story on an index with entries A and B that share everything."""

    def run(story: Story) -> None:
        async def whole() -> None:
            async with index(database_url, "A", "B") as database:
                await story(database)

        asyncio.run(whole())

    return run


# What there is room for


def test_the_first_of_a_burst_is_worth_most() -> None:
    assert room.worth(None, MIDNIGHT + 5) == 3
    assert room.worth(MIDNIGHT - 1, MIDNIGHT) == 3
    assert room.worth(MIDNIGHT, MIDNIGHT + HOUR) == 2
    assert room.worth(MIDNIGHT + SECOND, MIDNIGHT + MINUTE) == 1
    assert room.worth(MIDNIGHT, MIDNIGHT + MINUTE - 1) == 0


def test_how_much_may_be_kept_is_said_or_the_half_of_what_there_is_room_for() -> None:
    disk = Room(60, 1_000)
    assert room.most("local_storage", {}, 0, 40, disk) == 50
    assert room.most("local_storage", {}, 0, 40, None) is None, "it has not been told yet"
    assert room.most("local_storage", {}, 70, 40, disk) == room.most("sftp", {}, 70, 40, None) == 70
    assert room.most("local_storage", {"keep_bytes": 7}, 70, 40, disk) == 7
    assert room.most("sftp", {"keep_bytes": 0}, 0, 40, None) == 100 * GIB
    mute = Room(0, 0)
    assert room.most("local_storage", {}, 0, 40, mute) == 100 * GIB, "a disk that does not say is not a full one"
    assert room.excess(40, 100 * GIB, mute) == room.Excess(0, "")


def test_a_disk_that_is_short_of_room_counts_more_than_what_may_be_kept() -> None:
    roomy, short, dire = (Room(free, 100 * GIB) for free in (50 * GIB, GIB - 10, GIB // 2 - 1))
    assert room.excess(90, 100, roomy) == room.excess(90, None, None) == room.Excess(0, "")
    assert room.excess(130, 100, roomy)[0::2] == (30, False)
    assert "100 bytes" in room.excess(130, 100, roomy).why
    assert room.excess(90, 100, short) == room.Excess(10, room.SHORT)
    assert room.excess(5, 100, short) == room.Excess(5, room.SHORT), "there is no more"
    assert room.excess(130, 100, short)[0] == 30, "that makes room enough"
    assert room.excess(2 * GIB, 100, dire) == room.Excess(GIB // 2 + 1, room.SHORT, all=True)
    assert room.lacking(Room(9, 200)) == 1, "of a small disk a twentieth"


# What goes first


def place(path: str, moment: int) -> str:
    return f"{earliest_id(moment)}.{fid_of(path)}"


async def keep(db: Database, entry: str, path: str, *moments: int, size: int = 10) -> None:
    for moment in moments:
        await db.write(kept.note, entry, [Kept(path, place(path, moment), "x", size, 1)], moment)


async def going(db: Database, now: int, most: int, entry: str = "B", **limits: object) -> list[str]:
    """Files and moments of what goes where so many bytes may be kept."""
    about = Entry(entry, "local_storage", {"root": "/", "keep_bytes": most}, True, None)
    found = await db.read(kept.to_go, about, now, kept.Limits(**limits), kept.After(None), 1_000)  # type: ignore[arg-type]
    return found.places


def test_a_burst_is_thinned_before_anything_else_goes(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        long_ago = MIDNIGHT - 5 * DAY
        burst = [MIDNIGHT + HOUR + n * SECOND // 3 for n in range(9)]
        await keep(db, "B", "other", long_ago, long_ago + DAY)
        await keep(db, "B", "f", MIDNIGHT, *burst)
        await keep(db, "A", "f", MIDNIGHT + HOUR)
        now = burst[-1] + SECOND
        assert await db.read(store_versions.bytes_of, "B") == 120
        assert await going(db, now, 120) == []
        thinned = [place("f", moment) for moment in burst[1:-1]]
        assert await going(db, now, 119) == thinned[:1]
        assert await going(db, now, 50) == thinned
        first = [place("f", burst[0]), place("other", long_ago), place("f", MIDNIGHT)]
        assert await going(db, now, 20) == [*thinned, *first]
        # What a deletion is undone with stays for a day, unless the disk is nearly full.
        assert await going(db, now, 1) == [*thinned, *first, place("other", long_ago + DAY)]
        full = Room(0, 1_000)
        last = [place("other", long_ago + DAY), place("f", burst[-1])]
        assert await going(db, now, 1, room=full) == [*thinned[:5]]
        assert await going(db, now, 1, room=full._replace(size=10**6)) == [*thinned, *first, *last]
        assert (await going(db, now + DAY, 1))[-2:] == last

    tell(story)


def test_deleted_files_stay_for_a_day_whatever_they_take(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        deleted = [Kept(f"f{n}", place(f"f{n}", NOW - n), "x", 10, 1) for n in range(40)]
        await db.write(kept.note, "B", deleted, NOW)
        assert await going(db, NOW + DAY, 100) == []
        assert len(await going(db, NOW + DAY + 1, 100)) == 30

    tell(story)


def test_what_is_too_old_goes_first_and_makes_room_itself(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        long_ago, today = NOW - 3 * DAY, NOW - 2 * HOUR
        await keep(db, "B", "f", *range(long_ago, long_ago + 3))
        await keep(db, "B", "g", *range(today, today + 3))

        async def going(keep_bytes: int, most: int, disk: Room | None = None) -> list[str]:
            options = {"root": "/", "keep_bytes": keep_bytes, "keep_versions": 1.0}
            about = Entry("B", "local_storage", options, True, None)
            return (await db.read(kept.to_go, about, NOW, kept.Limits(room=disk), kept.After(), most)).places

        old = [place("f", long_ago + number) for number in range(3)]
        assert await going(30, 10) == old
        assert await going(10, 10) == [*old, place("g", today + 1), place("g", today)]
        assert await going(10, 4) == [*old, place("g", today + 1)]
        assert await going(10**6, 10, Room(970, 20_000)) == old
        assert await going(10**6, 10, Room(969, 20_000)) == [*old, place("g", today + 1)]
        assert await going(0, 10, Room(0, 0)) == old

    tell(story)


def test_bytes_are_counted_as_versions_come_and_go(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW, NOW + 1)
        await keep(db, "B", "f", NOW + 1)  # it is told again after a lost answer
        await keep(db, "A", "f", NOW)
        await db.write(kept.note_left, "B", [LeftKept(place("g", NOW + 2), "x", 7, 1)])
        assert [await db.read(store_versions.bytes_of, entry) for entry in "AB"] == [10, 27]
        places = [place("f", NOW), place("nothing", NOW)]
        for _ in range(2):
            await db.write(store_versions.forget, "B", places)
            assert await db.read(store_versions.bytes_of, "B") == 17
        await db.write(actions.put_rules, ())
        await db.write(actions.apply_rules)
        await db.write(actions.begin_removal, "B")
        while (await db.write(walks.forget, "B")).more:
            pass
        assert await db.read(lambda tx: tx.all("SELECT entry, bytes FROM sync_kept")) == [("A", 10)]

    tell(story)


def test_sizes_that_are_none_have_a_sum_all_the_same(tell: Callable[[Story], None]) -> None:
    """Sparse files, and what another server says."""

    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW)
        moments = range(NOW + 1, NOW + 10)
        await keep(db, "B", "huge", *moments, size=2**63 - 1)
        assert await db.read(store_versions.bytes_of, "B") == 10 + 9 * 2**44
        huge = [place("huge", moment) for moment in moments]
        assert await going(db, NOW + 10, 3 * 2**44) == huge[1:-1]
        await db.write(store_versions.forget, "B", huge)
        assert await db.read(store_versions.bytes_of, "B") == 10

    tell(story)


def test_what_is_told_late_is_no_newer(tell: Callable[[Story], None]) -> None:
    """A killed worker's versions come in pages, the last ones first."""

    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW + 3)
        for moments in ((NOW + 1, NOW + 2), (NOW - 1, NOW)):
            await db.write(kept.note_left, "B", [LeftKept(place("f", moment), "x", 10, 1) for moment in moments])
        now = NOW + DAY + 9
        assert (await going(db, now, 1))[-1] == place("f", NOW + 3)
        assert place("f", NOW + 3) not in await going(db, now, 10)

    tell(story)


def test_what_is_asked_back_is_not_dropped_nor_the_other_way_round(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW - 9, NOW - 5, NOW)
        [last, second, first] = await db.read(store_versions.of_file, fid_of("f"))
        assert await db.write(store_versions.let_go, "B", [first.place]) == [first.place]
        assert first not in await db.read(store_versions.of_file, fid_of("f"))
        with pytest.raises(Refusal, match="not found"):
            await db.read(kept.require_version, fid_of("f"), first.id)
        with pytest.raises(Refusal, match="not found"):
            await db.write(store_versions.ask_for, first.id, "f")
        await db.write(store_versions.ask_for, second.id, "f")
        assert await db.write(store_versions.let_go, "B", [second.place]) == []
        await db.write(store_versions.ask_for, last.id, "f")
        await db.write(kept.note_dropped, "B", [], [first.place])
        assert first in await db.read(store_versions.of_file, fid_of("f")), "it could not be dropped"
        assert await going(db, NOW, 1, room=Room(0, 10**6)) == [first.place]

    tell(story)


def test_a_deleted_file_of_which_nothing_stays_is_listed_no_more(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW, NOW + 1)
        for number, listed in ((0, [(fid_of("f"), "f")]), (1, [])):
            await db.write(store_versions.let_go, "B", [place("f", NOW + number)])
            assert await db.read(listing.deleted, "", 10, listing.Wanted()) == (listed, None)

    tell(story)


def test_what_was_to_go_when_a_process_ended_goes_first(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", NOW, NOW + 1, NOW + 2)
        await db.write(store_versions.let_go, "B", [place("f", NOW + 1)])
        assert await going(db, NOW, 0) == [place("f", NOW + 1)]
        assert await going(db, NOW, 0, "A") == []

    tell(story)


@pytest.mark.parametrize("is_furnished", [False])
def test_what_was_kept_before_is_counted_and_weighed(database_url: str) -> None:
    migrations = migrations_in("undercroft.families.sync")
    moments = [MIDNIGHT + first + later for first in (0, MINUTE, HOUR, DAY) for later in (0, 1)]

    def fill(tx: Transaction) -> None:
        tx.run("INSERT INTO sync_files (path, fid, version, hash, size, mtime, mode, owners, origin)"
               " VALUES ('f', 'F', 1, 'x', 10, 1, 420, 'B', 'B')")  # fmt: skip
        for number, moment in enumerate(moments):
            tx.run("INSERT INTO sync_versions (id, path, entry, place, hash, size, mtime, replaced_at, fid)"
                   " VALUES (:id, 'f', 'B', :id, 'x', 10, 1, :at, 'F')", id=str(number), at=moment)  # fmt: skip
        for id in ("8", "9"):
            tx.run("INSERT INTO sync_versions (id, path, entry, place, hash, size, mtime, replaced_at, fid)"
                   " VALUES (:id, 'f', 'A', :id, '', :size, 1, 1, 'F')", id=id, size=2**63 - 1)  # fmt: skip

    async def story() -> None:
        before = [migration for migration in migrations if migration.number < 12]
        database = await open_database(database_url, before, wall_clock, pool=1)
        await database.write(fill)
        await database.close()
        database = await open_database(database_url, migrations, wall_clock, pool=1)
        try:
            assert await database.read(store_versions.bytes_of, "B") == 80
            assert await database.read(store_versions.bytes_of, "A") == 2 * 2**44, "a sum of what is none"
            assert await database.read(store_entries.counted) == 0, "files are counted from the beginning"
            assert await going(database, MIDNIGHT + 3 * DAY, 1) == ["1", "3", "5", "2", "4", "0", "6", "7"]
        finally:
            await database.close()

    asyncio.run(story())


# What a worker is asked


class Asked:
    """A worker that is asked to drop, and its answers."""

    def __init__(self, database: Database, driver: str = "local_storage", **options: object) -> None:
        self.database = database
        self.said: list[list[str]] = []
        self.heard: asyncio.Queue[list[str]] = asyncio.Queue()
        entry = Entry("B", driver, {"root": "/B", **options}, True, None)
        self.dropping = Dropping(entry, database, self._hear)  # type: ignore[arg-type]

    def _hear(self, message: wire.Message) -> None:
        assert isinstance(message, wire.Drop)
        self.said.append(message.places)
        self.heard.put_nowait(message.places)

    async def answer(self, now: int, room: Room | None = None, gone: list[str] | None = None) -> None:
        if await self.dropping.note(wire.Dropped(self.said[-1] if gone is None else gone, room)):
            await self.dropping.go_on(now)

    async def deeds(self) -> list[tuple[Any, ...]]:
        sql = "SELECT action, subject FROM events ORDER BY id"
        return await self.database.read(lambda tx: tx.all(sql))


Furnished = Callable[[Callable[[Database], Awaitable[None]]], None]


@pytest.fixture
def furnished(sqlite_url: str) -> Furnished:
    """Run a story on a database with all tables."""

    def run(story: Story) -> None:
        async def whole() -> None:
            migrations = [migration for where in ROOMS for migration in migrations_in(where)]
            database = await open_database(sqlite_url, migrations, wall_clock, pool=1)
            try:
                await story(database)
            finally:
                await database.close()

        asyncio.run(whole())

    return run


def replaced(*moments: int, path: str = "f", size: int = 10) -> list[Kept]:
    return [Kept(path, place(path, moment), "x", size, 1) for moment in moments]


def test_what_is_too_much_goes_at_once_and_is_told_once(furnished: Furnished) -> None:
    async def story(db: Database) -> None:
        worker = Asked(db, keep_bytes=25)
        for number in range(6):
            now = NOW + number
            await db.write(kept.note, "B", replaced(now), now)
            await worker.dropping.weigh(replaced(now), None, now)
            if worker.said:
                await worker.answer(now)
        assert worker.said == [[place("f", NOW + number)] for number in (1, 2, 3, 4)]
        assert [deed[:2] for deed in await worker.deeds()] == [("drop kept versions early", "B")]
        assert "25 bytes" in worker.dropping.early(NOW + 5)
        assert worker.dropping.early(NOW + 2 * HOUR) == ""
        for now, told in ((NOW + DAY + 1, 1), (NOW + DAY + 2, 2)):
            await db.write(kept.note, "B", replaced(now), now)
            await worker.dropping.weigh(replaced(now), None, now)
            await worker.answer(now)
            assert len(await worker.deeds()) == told, "once a day"

    furnished(story)


def test_a_clock_that_was_set_back_neither_keeps_it_said_nor_untold(furnished: Furnished) -> None:
    async def story(db: Database) -> None:
        worker = Asked(db, keep_bytes=25)
        for now in (NOW, NOW - 2 * DAY):
            await db.write(kept.note, "B", replaced(*range(now, now + 4)), now)
            await worker.dropping.weigh(replaced(now), None, now)
            await worker.answer(now)
            assert len(await worker.deeds()) == (1 if now == NOW else 2)
            assert worker.dropping.early(now - 2 * DAY) == ""
            assert worker.dropping.early(now - SECOND), "by as little it is set now and then"

    furnished(story)


def test_what_can_not_be_dropped_is_listed_and_holds_up_nothing(furnished: Furnished) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", *range(NOW, NOW + 6))
        worker = Asked(db, keep_bytes=25)
        worker.dropping._most = 2
        stuck = [place("f", NOW + 1), place("f", NOW + 2)]
        await worker.dropping.weigh([], None, NOW + 9)
        assert worker.said == [stuck]
        assert len(await db.read(store_versions.of_file, fid_of("f"))) == 4
        await worker.answer(NOW + 9, gone=[])
        assert len(worker.said) == 1, "not again and again"
        assert len(await db.read(store_versions.of_file, fid_of("f"))) == 6
        await worker.dropping.weigh([], None, NOW + 10)
        assert worker.said[1:] == [[place("f", NOW + 3), place("f", NOW + 4)]]
        await worker.answer(NOW + 10)
        assert worker.said[2:] == [stuck], "and then they are tried again"

    furnished(story)


def test_what_is_answered_while_it_is_told_is_no_answer_to_what_is_asked_next(furnished: Furnished) -> None:
    """Else what is gone would be taken for what could not be dropped, and listed again."""

    async def story(db: Database) -> None:
        await keep(db, "B", "f", *range(NOW, NOW + 8), size=100)
        worker = Asked(db, keep_bytes=750)
        going_on: list[asyncio.Task[None]] = []

        async def tell(_why: str, now: int) -> None:
            if not going_on:
                assert await worker.dropping.note(wire.Dropped(worker.said[0], Room(850, 20_000)))
                going_on.append(asyncio.create_task(worker.dropping.go_on(now)))
                await asyncio.sleep(0)  # it is in the middle

        worker.dropping._tell = tell  # type: ignore[method-assign]
        await worker.dropping.ask(NOW + MINUTE)
        await going_on[0]
        assert worker.said == [[place("f", NOW + 1)], [place("f", NOW + 2), place("f", NOW + 3)]]
        await worker.dropping.note(wire.Dropped([]))
        await worker.dropping.note(wire.Dropped(worker.said[1]))
        assert len(await db.read(store_versions.of_file, fid_of("f"))) == 5, "what is gone, whenever that is said"

    furnished(story)


def test_room_is_asked_for_and_made_on_a_disk_that_is_short_of_it(furnished: Furnished) -> None:
    """As much as is lacking, and then not at once again: some file systems give it back later."""

    async def story(db: Database) -> None:
        await keep(db, "B", "f", *range(NOW, NOW + 8), size=100)
        worker = Asked(db, keep_bytes=10**6)
        now = NOW + MINUTE
        await worker.dropping.ask(now)
        assert worker.said == [[]]
        short = Room(850, 20_000)
        await worker.answer(now, short)
        assert worker.said[1:] == [[place("f", NOW + 1), place("f", NOW + 2)]]
        await worker.answer(now, short)
        await worker.dropping.weigh(replaced(now), short, now + 5 * SECOND)
        assert len(worker.said) == 2
        await worker.dropping.weigh(replaced(now), short, now + 11 * SECOND)
        assert len(worker.said) == 3
        await worker.answer(now + 12 * SECOND, Room(1_000, 20_000))
        await worker.dropping.ask(now + MINUTE)
        assert worker.said[3:] == [[]]
        assert worker.dropping.early(now + MINUTE) == room.SHORT
        assert len(await worker.deeds()) == 1

    furnished(story)


def test_who_asks_while_it_is_looked_up_asks_nothing_twice(furnished: Furnished) -> None:
    async def story(db: Database) -> None:
        await keep(db, "B", "f", *range(NOW, NOW + 6))
        worker = Asked(db, keep_bytes=25)
        await asyncio.gather(worker.dropping.ask(NOW + 9), worker.dropping.weigh([], None, NOW + 9))
        assert len(worker.said) == 1

    furnished(story)


def test_what_room_there_is_holds_until_it_is_told_anew(furnished: Furnished) -> None:
    """The half of what there would be without what is kept may be."""

    async def story(db: Database) -> None:
        worker = Asked(db)
        await worker.dropping.ask(NOW)
        await worker.answer(NOW, Room(2_000, 20_000))
        more = replaced(*range(NOW, NOW + 10), size=300)
        await db.write(kept.note, "B", more, NOW)
        await worker.dropping.weigh(more[:3], None, NOW)
        assert worker.said == [[]], "900 of 1,000"
        await worker.dropping.weigh(more[3:], None, NOW)
        assert [len(places) for places in worker.said] == [0, 2], "3,000 of 2,500"
        await worker.answer(NOW, Room(1_000, 20_000))
        assert [len(places) for places in worker.said] == [0, 2, 3], "2,400 of 1,700"

    furnished(story)


def test_a_storage_elsewhere_is_asked_for_less_at_once_and_for_no_room(
    furnished: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "PAGE_FAR", 2)

    async def story(db: Database) -> None:
        await keep(db, "B", "f", *range(NOW, NOW + 5))
        worker = Asked(db, "webdav", keep_bytes=25)
        await worker.dropping.ask(NOW + 9)
        await worker.answer(NOW + 9)
        assert [len(places) for places in worker.said] == [2, 1]
        await worker.answer(NOW + 9)
        await worker.dropping.ask(NOW + MINUTE)
        assert len(worker.said) == 2

    furnished(story)


def test_what_is_listed_is_there_though_a_worker_answers_while_it_is_told_of(furnished: Furnished) -> None:
    """It is asked one thing at a time: its answers don't say to what they are."""

    async def story(db: Database) -> None:
        moments, now = range(NOW, NOW + 9), NOW + MINUTE
        there = {place("f", moment) for moment in moments}
        await keep(db, "B", "f", *moments)
        worker = Asked(db, keep_bytes=25)
        worker.dropping._most = 2

        async def work() -> None:
            while len(there) > 2 or not worker.heard.empty():
                places = await worker.heard.get()
                there.difference_update(places)
                await worker.answer(now, gone=places)

        working = asyncio.create_task(work())
        await worker.dropping.ask(now)
        await working
        assert {one.place for one in await db.read(store_versions.of_file, fid_of("f"))} == there
        assert [len(places) for places in worker.said] == [2, 2, 2, 1]

    furnished(story)


def test_the_setting_counts_where_an_entry_says_nothing(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        database = await open_database(sqlite_url, all_migrations(), wall_clock, pool=1)
        try:
            settings = Settings(data_dir=tmp_path, sync_keep_bytes=25)
            board = assemble(settings, database, wall_clock, "one", "mark").entries._board
            await database.write(actions.add_entry, "A", "local_storage", {"root": "/A"}, NOW)
            await board.open(await Term.begin(database))
            folder = os.open(tmp_path, os.O_RDONLY)  # the path of a socket may have 107 bytes only
            _, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{SOCKET}")
            os.close(folder)
            writer.write(wire.packed(wire.Hello("A")))
            await until(lambda: "A" in board.links, "it to be met")
            assert board.links["A"]._dropping.usual == 25
            writer.close()
            await board.close()
        finally:
            await database.close()

    asyncio.run(story())


# What comes of it


def test_a_file_that_changes_on_and_on_fills_no_disk(sqlite_url: str, tmp_path: Path) -> None:
    """And where a process is killed in the middle of dropping, nothing is listed that is gone, nor there unlisted."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A", "B")
            await h.engine.change("B", {"root": str(h.folders["B"]), "keep_bytes": 250})
            await h.share()
            versions = h.folders["B"] / ".undercroft/versions"
            for number in range(8):
                write(h.folders["A"], {b"f": b"%d" % number * 100})
                await h.holds({b"f": b"%d" % number * 100})
            await until(lambda: len(list(versions.iterdir())) <= 2, "the rest to be dropped")
            left = await _listed(h.database)
            assert b"6" in {(versions / name).read_bytes()[:1] for name in left}
            link = h.engine.link("B")
            assert link is not None
            assert "keep_bytes" in link.drops_early
            await h.engine.end("B")
            assert await h.database.write(store_versions.let_go, "B", sorted(left)) == sorted(left)
            (versions / min(left)).unlink()
            await h.engine.begin("B")
            await until(lambda: h.is_scanned("B"), "B to be there")
            await h.engine._board.drop_old(wall_clock())
            await until(lambda: not list(versions.iterdir()), "the other to go")
            rows = "SELECT count(*) FROM sync_versions"
            while await h.database.read(lambda tx: tx.one(rows)) != (0,):  # noqa: ASYNC110 - written by the engine
                await asyncio.sleep(0.01)

    asyncio.run(story())


async def _listed(database: Database) -> set[str]:
    return {one.place for one in await database.read(store_versions.of_file, fid_of("f"))}
