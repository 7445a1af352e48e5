"""Kept versions: known also where a worker was killed before it could tell, and gone when their time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.families.sync.index import NOW, index
from tests.families.sync.parts import house, write
from undercroft.base.clock import DAY, HOUR, wall_clock
from undercroft.base.ids import earliest_id, moment_of, sortable_id
from undercroft.database import Database, Transaction, migrations_in, open_database
from undercroft.families.sync import actions, kept, store, store_versions, wire
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept, LeftKept, Settled
from undercroft.families.sync.places import first_place, moment_at, new_place
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages import open_storage
from undercroft.families.sync.storages.storage import Storage
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.worker import keeping

Story = Callable[[Database], Awaitable[None]]


@pytest.fixture
def tell(database_url: str) -> Callable[[Story], None]:
    """Run a story on an index with entries A and B that share everything."""

    def run(story: Story) -> None:
        async def whole() -> None:
            async with index(database_url, "A", "B") as database:
                await story(database)

        asyncio.run(whole())

    return run


def file(path: str, hash: str) -> Seen:
    return Seen(path, Content(hash, 1, 1, 0o644), f"r-{hash}")


def place(path: str, moment: int) -> str:
    return f"{earliest_id(moment)}.{fid_of(path)}"


async def is_in_step(db: Database, path: str, hash: str) -> None:
    """A and B hold it."""
    await db.write(actions.note_seen, "A", [file(path, hash)], NOW)
    [put] = await db.read(actions.to_do, "B", [path])
    await db.write(actions.settle, "B", [Settled(file(path, hash), put.version)], [], NOW)


def test_a_place_says_when_and_whose() -> None:
    before = wall_clock()
    made = new_place("a/ö")
    moment = moment_at(made)
    assert moment is not None
    assert before <= moment <= wall_clock()
    assert made.endswith("." + fid_of("a/ö"))
    assert first_place(moment) < made < first_place(moment + 1)
    old = sortable_id()
    assert moment_at(old) == moment_of(old) is not None
    for strange in ("", "x", "notes.txt", "l" * 26, "0" * 26, old[:-1], old + "0"):
        assert moment_at(strange) is None, strange


def test_what_a_killed_worker_has_kept_is_written_down_once(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        for path in ("changed", "deleted"):
            await is_in_step(db, path, "old")
        await db.write(actions.note_seen, "A", [file("changed", "new"), Seen("deleted", None, "")], NOW + 1)
        left = [LeftKept(place(path, NOW + 5 + n), "old", 1, 2) for n, path in enumerate(("changed", "deleted"))]
        assert await db.write(kept.note_left, "B", left) == []
        for n, path in enumerate(("changed", "deleted")):
            [version] = await db.read(store_versions.of_file, fid_of(path))
            assert (version.path, version.entry, version.hash, version.replaced_at) == (path, "B", "old", NOW + 5 + n)
        await db.write(kept.note_left, "B", left)
        await db.write(actions.settle, "B", [], [Kept("changed", left[0].place, "old", 1, 2)], NOW + 9)
        assert len(await db.read(store_versions.of_file, fid_of("changed"))) == 1
        assert await db.read(kept.known_places, "B", "") == [one.place for one in sorted(left)]

    tell(story)


def test_what_is_asked_for_is_asked_for_until_it_was_tried(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await is_in_step(db, "f", "new")
        places = sorted(place(path, NOW + n) for n, path in enumerate("fgh"))
        await db.write(
            kept.note, "B", [Kept(path, one, "old", 1, 2) for path, one in zip("fgh", places, strict=True)], NOW
        )
        assert await db.read(store_versions.asked_for, "B") == []
        for path in "fg":
            [version] = await db.read(store_versions.of_file, fid_of(path))
            await db.write(store_versions.ask_for, version.id, path)
        assert await db.read(store_versions.asked_for, "B") == [("f", places[0], 1), ("g", places[1], 1)]
        assert await db.read(store_versions.asked_for, "A") == []
        await db.write(actions.note_restored, "B", places[0], file("f", "old"), NOW + 9)
        restored = (await db.read(store.load, ["f"]))["f"].file
        assert restored is not None
        assert restored.content == file("f", "old").content
        await db.write(actions.note_restored, "B", places[1], None, NOW + 9)
        assert await db.read(store_versions.asked_for, "B") == []

    tell(story)


def test_settling_twice_keeps_one_row(tell: Callable[[Story], None]) -> None:
    """On PostgreSQL it is run again after a lost commit that was none."""

    async def story(db: Database) -> None:
        await is_in_step(db, "f", "old")
        replaced = [Kept("f", place("f", NOW), "old", 1, 2)]

        def twice(tx: Transaction) -> None:
            actions.settle(tx, "B", [Settled(file("f", "new"), NOW)], replaced, NOW + 3)

        await db.write(twice)
        before = await db.read(store_versions.of_file, fid_of("f"))
        await db.write(twice)
        assert await db.read(store_versions.of_file, fid_of("f")) == before
        assert len(before) == 1

    tell(story)


def test_what_was_only_on_its_way_is_no_older_version(tell: Callable[[Story], None]) -> None:
    """A kill just before the exchange leaves what was to come; one after a restore what was there."""

    async def story(db: Database) -> None:
        await is_in_step(db, "f", "old")
        await db.write(actions.note_seen, "A", [file("f", "new")], NOW + 1)
        arriving, replaced = LeftKept(place("f", NOW + 5), "new", 1, 2), LeftKept(place("f", NOW + 6), "old", 1, 2)
        await db.write(kept.note_left, "B", [arriving, replaced])
        await db.write(kept.note_left, "A", [LeftKept(place("f", NOW + 7), "new", 1, 2)])
        found = await db.read(store_versions.of_file, fid_of("f"))
        assert [(version.entry, version.hash) for version in found] == [("A", "new"), ("B", "old")]

    tell(story)


def test_what_has_no_name_any_more_is_listed_all_the_same(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        unnamed, bare, strange = place("forgotten", NOW), earliest_id(NOW + 1), "notes.txt"
        found = await db.write(kept.note_left, "B", [LeftKept(one, "x", 1, 2) for one in (unnamed, bare, strange)])
        assert [version.place for version in found] == [unnamed, bare]
        [version] = await db.read(store_versions.of_file, fid_of("forgotten"))
        assert version.path == f"recovered-{earliest_id(NOW)}"
        [version] = await db.read(store_versions.of_file, fid_of(f"recovered-{bare}"))
        assert version.place == bare
        assert await db.read(store_versions.paths_of, [version.fid]) == {version.fid: version.path}
        await db.write(kept.note, "A", [Kept("forgotten", place("forgotten", NOW - 9), "y", 1, 2)], NOW)
        assert await db.read(store_versions.paths_of, [fid_of("forgotten")]) == {fid_of("forgotten"): "forgotten"}

    tell(story)


def test_a_worker_is_asked_for_what_it_may_not_have_told(tell: Callable[[Story], None]) -> None:
    """Elsewhere for all of it: what is replaced there is kept before its successor is on its way."""
    a, b, far = (Entry(name, driver, {}, True, None) for name, driver in
                 (("A", "local_storage"), ("B", "local_storage"), ("B", "sftp")))  # fmt: skip

    async def story(db: Database) -> None:
        assert await db.read(kept.told_after, b, NOW) == ""
        first, last = place("f", NOW), place("f", NOW + 2 * DAY)
        await db.write(kept.note, "B", [Kept("f", one, "x", 1, 2) for one in (last, first)], NOW)
        after = await db.read(kept.told_after, b, NOW + 3 * DAY)
        assert first < after == first_place(NOW + DAY)
        assert await db.read(kept.known_places, "B", after) == [last]
        assert await db.read(kept.told_after, b, NOW + DAY) == first_place(NOW - DAY), "a clock ran ahead"
        assert await db.read(kept.told_after, a, NOW + 3 * DAY) == ""
        assert await db.read(kept.told_after, far, NOW + 3 * DAY) == ""

    tell(story)


def test_what_can_not_be_dropped_holds_up_nothing(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        entry = Entry("B", "local_storage", {"root": "/B", "keep_versions": 1}, True, None)
        for number in range(3):
            moment = NOW + number // 2
            await db.write(kept.note, "B", [Kept("f", place(f"{number}", NOW + number), "x", 1, 2)], moment)
        late = NOW + DAY + 9
        page = await db.read(kept.expired, entry, late, kept.START, 2)
        assert [moment_at(version.place) for version in page] == [NOW, NOW + 1]
        rest = await db.read(kept.expired, entry, late, (page[-1].replaced_at, page[-1].id), 2)
        assert [moment_at(version.place) for version in rest] == [NOW + 2]
        await db.write(store_versions.forget, "A", [page[0].place])
        await db.write(store_versions.forget, "B", [page[1].place])
        assert [one.place for one in await db.read(kept.expired, entry, late, kept.START, 2)] == [
            page[0].place,
            rest[0].place,
        ]

    tell(story)


def test_a_time_of_keeping_that_is_beyond_all_numbers_drops_nothing(tell: Callable[[Story], None]) -> None:
    """It may be stored from before there were bounds."""

    async def story(db: Database) -> None:
        entry = Entry("A", "local_storage", {"root": "/A", "keep_versions": 2**53 - 1}, True, None)
        await db.write(kept.note, "A", [Kept("f", "p", "x", 1, 1)], 1)
        assert await db.read(kept.expired, entry, NOW, kept.START, 9) == []
        entry.options["keep_versions"] = 1
        assert [one.place for one in await db.read(kept.expired, entry, NOW, kept.START, 9)] == ["p"]

    tell(story)


@pytest.mark.parametrize("is_furnished", [False])
def test_rows_of_earlier_days_get_their_files_id(database_url: str) -> None:
    """From SQL where a file is known; those that were forgotten when the entries start."""
    migrations = migrations_in("undercroft.families.sync")
    before = [migration for migration in migrations if migration.number < 7]

    def fill(tx: Transaction) -> None:
        tx.run("INSERT INTO sync_files (path, fid, version, size, mtime, mode, owners, origin)"
               " VALUES ('known', :fid, 1, 0, 0, 0, '[]', 'A')", fid=fid_of("known"))  # fmt: skip
        for id, path, where in (("1", "known", "p"), ("2", "known", "p"), ("3", "gone", "q"), ("4", "gone", "r")):
            tx.run("INSERT INTO sync_versions (id, path, entry, place, hash, size, mtime, replaced_at)"
                   " VALUES (:id, :path, 'A', :place, 'x', 1, 1, 1)", id=id, path=path, place=where)  # fmt: skip

    async def story() -> None:
        database = await open_database(database_url, before, wall_clock, pool=1)
        await database.write(fill)
        await database.close()
        database = await open_database(database_url, migrations, wall_clock, pool=1)
        try:
            assert [one.id for one in await database.read(store_versions.of_file, fid_of("known"))] == ["1"]
            assert not await database.write(kept.name_files)
            assert [one.id for one in await database.read(store_versions.of_file, fid_of("gone"))] == ["3", "4"]
        finally:
            await database.close()

    asyncio.run(story())


# What a worker tells, and takes away


def keep(root: Path, name: str, content: bytes) -> Path:
    folder = root / ".undercroft/versions"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Storage:
    return open_storage(("local_storage", {"root": str(tmp_path)}))


def told_by(storage: Storage, known: keeping.Known, days: float = 30) -> list[LeftKept]:
    told: list[Any] = []
    keeping.tell_kept(storage, known, days, told.append)
    assert all(isinstance(message, wire.Left) for message in told)
    return [one for message in told for one in message.kept]


def test_a_worker_tells_of_what_the_server_does_not_know(opened: Storage, tmp_path: Path) -> None:
    now = wall_clock()
    earlier, known, unknown, bare = (
        place("f", now - HOUR), place("f", now), place("f", now + 1), earliest_id(now + 2)
    )  # fmt: skip
    for name in (earlier, known, unknown, bare, "notes.txt"):
        keep(tmp_path, name, name.encode())
    (tmp_path / ".undercroft/versions" / place("g", now)).symlink_to("/etc/passwd")
    told = told_by(opened, keeping.Known(first_place(now - 1), {known}))
    assert {one.place: one.hash for one in told} == {
        name: blake3(name.encode()).hexdigest() for name in (unknown, bare)
    }
    assert {one.size for one in told} == {len(unknown), len(bare)}


def test_a_worker_tells_in_pages(opened: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "BATCH", 2)
    names = {place(str(number), wall_clock()) for number in range(5)}
    for name in names:
        keep(tmp_path, name, b"x")
    told: list[Any] = []
    keeping.tell_kept(opened, keeping.Known("", set()), 30, told.append)
    assert [len(message.kept) for message in told] == [2, 2, 1]
    assert {one.place for message in told for one in message.kept} == names


def test_a_worker_reads_little_before_it_begins(
    opened: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that comes back to its old place may keep more than is read in a day; elsewhere it would be fetched."""
    monkeypatch.setattr(keeping, "MOST_READ", 25)
    now = wall_clock()
    places = [place(str(number), now + number) for number in range(4)]
    for name, size in zip(places, (5, 10, 30, 10), strict=True):
        keep(tmp_path, name, b"x" * size)
    told = told_by(opened, keeping.Known("", set()))
    assert [(one.place, bool(one.hash)) for one in told] == list(
        zip(reversed(places), (True, False, True, True), strict=True)
    )
    monkeypatch.setattr(opened, "polled", 60.0)
    assert {one.hash for one in told_by(opened, keeping.Known("", set()))} == {""}


def test_what_was_told_before_it_was_broken_off_is_not_told_again(
    opened: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "BATCH", 2)
    for number in range(5):
        keep(tmp_path, place(str(number), wall_clock()), b"x")
    known = keeping.Known("", set())
    told: list[Any] = []

    def tell(message: wire.Left) -> None:
        if len(told) == 2:
            raise ConnectionAbortedError
        told.append(message)

    with pytest.raises(ConnectionAbortedError):
        keeping.tell_kept(opened, known, 30, tell)
    assert len(told_by(opened, known)) == 1


def test_what_nobody_will_have_back_goes(opened: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day after its time is over, for the server may know it until then; a bounded number at a time."""
    monkeypatch.setattr(keeping, "MOST_SWEPT", 2)
    now = wall_clock()
    old = [keep(tmp_path, place(str(n), now - 2 * DAY - HOUR), b"x") for n in range(3)]
    still = keep(tmp_path, place("f", now - 2 * DAY + HOUR), b"x")
    mine = keep(tmp_path, "notes.txt", b"x")
    assert [one.place for one in told_by(opened, keeping.Known("", set()), 1)] == [still.name]
    assert sum(path.exists() for path in old) == 1
    told_by(opened, keeping.Known("", set()), 1)
    assert not any(path.exists() for path in old)
    assert still.exists() and mine.exists()


def test_only_what_is_gone_is_told_as_dropped(opened: Storage, tmp_path: Path) -> None:
    from undercroft.families.sync.worker.carrying import Carrier, Pace
    from undercroft.families.sync.worker.index import Index

    carrier = Carrier("A", lambda _: opened, Index(), Pace(0, lambda *_: None))
    there, gone = keep(tmp_path, place("f", NOW), b"x"), place("g", NOW)
    stays = place("h", NOW)
    (tmp_path / ".undercroft/versions" / stays).mkdir()
    assert carrier.drop([there.name, gone, stays]).places == [there.name, gone]
    assert not there.exists()


def test_what_a_killed_process_has_kept_is_restorable(sqlite_url: str, tmp_path: Path) -> None:
    """All of it has its row in the end: what was told, and what a kill kept from being told."""
    names = [b"%d" % number for number in range(300)]

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A", "B")
            await h.share()
            write(h.folders["A"], {name: b"old " + name for name in names})
            await h.equal()
            await h.engine.end("B")
            write(h.folders["A"], {name: b"new " + name for name in names})
            versions = h.folders["B"] / ".undercroft/versions"
            await h.engine.begin("B")
            while not any(versions.iterdir()):  # noqa: ASYNC110 - a moment matters here
                await asyncio.sleep(0)
            h.kill("B")
            tree = await h.equal()
            assert set(tree.values()) == {b"new " + name for name in names}
            # Beside them may lie what was to come: killed just before it was exchanged with what was there.
            old = {path.name for path in versions.iterdir() if path.read_bytes().startswith(b"old")}
            assert old == set(await h.database.read(kept.known_places, "B", ""))
            for name in names:
                [version] = await h.database.read(store_versions.of_file, fid_of(name.decode()))
                assert (versions / version.place).read_bytes() == b"old " + name
                assert version.hash == blake3(b"old " + name).hexdigest()

    asyncio.run(story())
