"""Many files that vanish at once, on both engines: what is a wave, which waits, and what is none."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.families.sync import actions, store, store_entries
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.waves import WAVE_LASTS, Vanishings
from undercroft.families.sync.wire import Report

NOW = 1_800_000_000_000


class Shore:
    """Entry A in the index. `now`: the moment, in ms."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW

    async def fill(self, files: int) -> None:
        seen = [Seen(str(n), Content("x", 1, 1, 0o644), "r") for n in range(files)]
        await self.database.write(actions.note_seen, "A", seen, NOW)

    async def link(self) -> Vanishings:
        [entry] = await self.database.read(store_entries.entries)
        return Vanishings(entry, self.database, lambda: self.now)


Story = Callable[[Shore], Awaitable[None]]


@pytest.fixture
def tell(database_url: str) -> Callable[[Story], None]:
    def run(story: Story) -> None:
        async def whole() -> None:
            database = await open_database(database_url, migrations_in("undercroft.families.sync"), wall_clock, pool=2)
            try:
                await database.write(actions.add_entry, "A", "local_storage", {"root": "/A"}, NOW)
                await story(Shore(database))
            finally:
                await database.close()

        asyncio.run(whole())

    return run


def page(look: int, vanished: int) -> Report:
    return Report([], look, vanished)


def test_a_wave_is_decided_upon_once(tell: Callable[[Story], None]) -> None:
    """For all pages of a look: however long they take to come, and however few files are left by then."""

    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        assert await vanishings.are_held(page(1, 16), is_first=False)
        shore.now += 2 * WAVE_LASTS
        assert await vanishings.are_held(page(1, 16), is_first=False)
        assert not await vanishings.are_held(page(2, 15), is_first=False), "half of them is not more than half"
        gone = [Seen(str(n), None, "") for n in range(15)]
        await shore.database.write(actions.note_seen, "A", gone, NOW)
        assert not await vanishings.are_held(page(2, 15), is_first=False)

    tell(story)


def test_what_an_entry_holds_is_counted_when_a_wave_begins(tell: Callable[[Story], None]) -> None:
    """Entries are often made empty, and filled later. What went just before is of the same wave."""

    async def story(shore: Shore) -> None:
        vanishings = await shore.link()
        await shore.fill(100)
        assert not await vanishings.are_held(page(1, 11), is_first=False)
        assert not await vanishings.are_held(page(2, 30), is_first=False)
        assert await vanishings.are_held(page(3, 10), is_first=False), "51 of 100 within a minute"
        shore.now += WAVE_LASTS
        assert not await vanishings.are_held(page(4, 10), is_first=False)

    tell(story)


def test_what_went_a_moment_before_was_there_when_it_began(tell: Callable[[Story], None]) -> None:
    """Eight of 24 and four of the 16 that are left are half of them, and not more."""

    async def story(shore: Shore) -> None:
        await shore.fill(24)
        vanishings = await shore.link()
        assert not await vanishings.are_held(page(1, 8), is_first=False)
        await shore.database.write(actions.note_seen, "A", [Seen(str(n), None, "") for n in range(8)], NOW)
        assert not await vanishings.are_held(page(2, 4), is_first=False)
        assert await vanishings.are_held(page(3, 1), is_first=False)

    tell(story)


def test_a_rename_is_no_wave_even_just_after_one(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        assert await vanishings.are_held(page(1, 20), is_first=False)
        assert not await vanishings.are_held(page(2, 0), is_first=False)
        assert not await vanishings.are_held(page(3, -5), is_first=False)
        assert await vanishings.are_held(Report([], 4, 1, emptied=True), is_first=False)
        assert await vanishings.are_held(page(5, 1), is_first=False), "one more of that wave"
        vanishings.forget()
        assert not await vanishings.are_held(page(6, 9), is_first=False), "somebody has said what was meant"

    tell(story)


def test_a_wave_that_was_cut_is_gone_on_with(tell: Callable[[Story], None]) -> None:
    """20 of 30 are gone, 15 pages of that were held as the link broke: the other five are few, and of the same wave."""

    async def story(shore: Shore) -> None:
        await shore.fill(30)
        gone = [Seen(str(n), None, "") for n in range(15)]
        await shore.database.write(actions.note_seen, "A", gone, NOW, hold=True)
        assert await (await shore.link()).are_held(page(1, 5), is_first=True)
        assert not await (await shore.link()).are_held(page(1, 5), is_first=False)

    tell(story)


def test_held_files_are_counted_and_skipped_ones_come_and_go(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(1_500)
        gone = [Seen(str(n), None, "") for n in range(1_200)]
        await shore.database.write(actions.note_seen, "A", gone, NOW, hold=True)
        assert await shore.database.read(store.count_held, "A") == 1_200

        async def note(skipped: list[tuple[str, str]], anew: bool) -> list[str]:
            await shore.database.write(store_entries.note_skipped, "A", skipped, anew)
            return [path for path, _ in await shore.database.read(store_entries.skipped, "A", 10)]

        assert await note([("fifo", "a fifo"), ("link", "a link")], True) == ["fifo", "link"]
        assert await note([("fifo", ""), ("other", "a link")], False) == ["link", "other"]
        assert await note([("last", "a link")], True) == ["last"]

    tell(story)
