"""Many files that vanish at once, on both engines: what is a wave, which waits, and what is none."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import pytest

from tests.families.sync.index import NOW, index
from undercroft.base.clock import SECOND
from undercroft.database import Database
from undercroft.families.sync import actions, store, store_entries
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.waves import WAVE_LASTS, Vanishings, Waves
from undercroft.families.sync.wire import TOLD_WITHIN, Report
from undercroft.families.sync.worker.bursts import Burst

LONG = WAVE_LASTS + TOLD_WITHIN
HERE = Content("x", 1, 1, 0o644)


class Shore:
    """Entry A in the index. `now`: the moment, in ms."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self._looks = 0

    async def fill(self, files: int) -> None:
        seen = [Seen(str(n), HERE, "r") for n in range(files)]
        await self.database.write(actions.note_seen, "A", seen, NOW)

    async def lose(self, numbers: Iterable[int], *, hold: bool = False) -> None:
        gone = [Seen(str(n), None, "") for n in numbers]
        await self.database.write(actions.note_seen, "A", gone, NOW, hold=hold)

    async def held(self) -> int:
        return await self.database.read(store.count_held, "A")

    async def entry(self) -> Entry:
        [entry] = await self.database.read(store_entries.entries)
        return entry

    async def link(self) -> Vanishings:
        return Vanishings(await self.entry(), self.database, lambda: self.now)

    async def look(
        self,
        vanishings: Vanishings,
        gone: Sequence[int],
        new: Collection[str] = (),
        *,
        is_first: bool = False,
        pages: int = 1_000,
    ) -> bool:
        """A link hears of what a look has found, in pages of so many; whether they are held."""
        self._looks += 1
        seen = [Seen(str(n), None, "") for n in gone] + [Seen(name, HERE, "r") for name in new]
        hold = set()
        for at in range(0, len(seen), pages):
            report = Report(seen[at : at + pages], self._looks, len(gone) - len(new))
            hold.add(await vanishings.are_held(report, is_first=is_first))
            await self.database.write(actions.note_seen, "A", report.seen, NOW, hold=max(hold))
            vanishings.note_written(report)
        [are_held] = hold
        return are_held


Story = Callable[[Shore], Awaitable[None]]


@pytest.fixture
def tell(database_url: str) -> Callable[[Story], None]:
    def run(story: Story) -> None:
        async def whole() -> None:
            async with index(database_url, "A") as database:
                await story(Shore(database))

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
        shore.now += LONG
        assert await vanishings.are_held(page(1, 16), is_first=False)
        assert await vanishings.are_held(page(1, 0), is_first=False)
        assert not await vanishings.are_held(page(2, 0), is_first=False), "a page that went before it was counted"
        assert not await vanishings.are_held(page(2, 15), is_first=False), "half of them is not more than half"
        await shore.lose(range(15))
        assert not await vanishings.are_held(page(2, 15), is_first=False)
        assert not await vanishings.are_held(page(3, 0), is_first=False)
        assert await vanishings.are_held(page(3, 16), is_first=False)

    tell(story)


def test_a_mass_deletion_that_takes_its_time_is_a_wave(tell: Callable[[Story], None]) -> None:
    """1,000 files in 500 s, as a process tells of them that looks on for as long as more vanish."""

    async def story(shore: Shore) -> None:
        await shore.fill(1_000)
        vanishings = await shore.link()
        burst, untold, held = Burst(0.2, 0.1), 0, []
        for half_seconds in range(1_000):
            untold += 1
            if not burst.wait(untold, half_seconds / 2):
                shore.now = NOW + half_seconds * 500
                gone = range(half_seconds + 1 - untold, half_seconds + 1)
                held.append(await shore.look(vanishings, gone))
                untold = 0
        assert len(held) > 5
        assert held == sorted(held), "it is held from some moment on"
        assert await shore.database.read(store.count_present, "A") + await shore.held() >= 500

    tell(story)


def test_a_wave_is_over_when_nothing_has_vanished_for_a_while(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(100)
        vanishings = await shore.link()
        for at in range(0, 50, 10):
            assert not await shore.look(vanishings, range(at, at + 10))
            shore.now += WAVE_LASTS - 1
        assert await shore.look(vanishings, [50]), "51 of 100"
        shore.now += LONG - 1
        assert await shore.look(vanishings, [51])
        shore.now += LONG
        assert not await shore.look(vanishings, range(52, 62)), "few"
        assert not await shore.look(vanishings, range(62, 76)), "24 of 48 are half of them"
        assert await shore.look(vanishings, [76])

    tell(story)


def test_where_all_is_looked_at_now_and_then_a_wave_lasts_two_looks(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(100)
        remote = (await shore.entry())._replace(driver="sftp", options={"changes_timer": 300.0})
        vanishings = Vanishings(remote, shore.database, lambda: shore.now)
        vanishings.note_scan(900.0)
        assert not await shore.look(vanishings, range(50))
        shore.now += 2 * 1_200 * SECOND
        assert await shore.look(vanishings, [50])
        shore.now += 2 * 1_200 * SECOND + LONG
        assert not await shore.look(vanishings, [51])

    tell(story)


def test_what_an_entry_holds_is_counted_when_a_wave_begins(tell: Callable[[Story], None]) -> None:
    """Entries are often made empty, and filled later: also while something vanishes."""

    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        assert not await shore.look(vanishings, range(11))
        await shore.fill(100)
        assert not await shore.look(vanishings, range(11, 50)), "50 of 111: that is how many there were, and came"
        assert await shore.look(vanishings, range(50, 61))

    tell(story)


def test_what_went_a_moment_before_was_there_when_it_began(tell: Callable[[Story], None]) -> None:
    """Eight of 24 and four of the 16 that are left are half of them, and not more."""

    async def story(shore: Shore) -> None:
        await shore.fill(24)
        vanishings = await shore.link()
        assert not await shore.look(vanishings, range(8))
        assert not await shore.look(vanishings, range(8, 12))
        assert await shore.look(vanishings, [12])

    tell(story)


def test_a_rename_is_no_wave_even_just_after_one(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        assert await shore.look(vanishings, range(20))
        assert not await shore.look(vanishings, range(20, 22), ["a", "b"])
        assert not await shore.look(vanishings, [], ["c", "d"])
        assert await vanishings.are_held(Report([], 9, -1, emptied=True), is_first=False)
        assert await shore.look(vanishings, [22]), "one more of that wave"
        vanishings.forget()
        assert not await shore.look(vanishings, range(23, 29)), "somebody has said what was meant"

    tell(story)


def test_a_wave_is_over_when_all_is_back(tell: Callable[[Story], None]) -> None:
    """What comes later to those names is an update."""

    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        assert await shore.look(vanishings, range(20))
        assert not await shore.look(vanishings, [], [str(n) for n in range(20)])
        assert not await shore.look(vanishings, range(20, 30))
        vanishings.note_back([str(n) for n in range(10)])
        assert await shore.look(vanishings, range(10, 16))

    tell(story)


@pytest.mark.parametrize("way", ["made again", "put there by us", "restored"])
def test_a_file_that_goes_and_comes_back_is_one_file(tell: Callable[[Story], None], way: str) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(12)
        vanishings = await shore.link()
        for _ in range(20):
            assert not await shore.look(vanishings, [0, 1, 2])
            if way == "made again":
                assert not await shore.look(vanishings, [], ["0", "1", "2"])
            else:
                await shore.fill(3)
            if way == "put there by us":
                vanishings.note_back(["0", "1", "2"])
            elif way == "restored":
                vanishings.note_written(Report([Seen(str(n), HERE, "r") for n in range(3)]))
        assert await shore.look(vanishings, range(11))

    tell(story)


def test_a_wave_goes_on_where_the_process_that_tells_of_it_is_killed(tell: Callable[[Story], None]) -> None:
    """After each of four steps of a quarter; and what it had counted and not told yet is not counted again."""

    async def story(shore: Shore) -> None:
        entry = await shore.entry()
        waves = Waves(shore.database, lambda: shore.now)
        await shore.fill(1_000)
        held = [
            await shore.look(waves.of(entry), range(at, at + 250), is_first=True, pages=100)
            for at in (0, 250, 500, 750)
        ]
        assert held == [False, False, True, True]
        waves.forget("A")
        await shore.fill(1_000)
        for _ in range(3):
            vanishings = waves.of(entry)
            assert not await vanishings.are_held(page(1, 400), is_first=True), "and it is killed"
        assert not await shore.look(waves.of(entry), range(400))
        assert await shore.look(waves.of(entry), range(400, 501))

    tell(story)


def test_what_is_counted_and_could_not_be_told_is_counted_again_by_the_next_look(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(30)
        vanishings = await shore.link()
        for look in range(100, 105):
            assert not await vanishings.are_held(page(look, 11), is_first=False)
        assert not await shore.look(vanishings, range(15))

    tell(story)


def test_a_wave_in_whose_middle_the_server_was_ended_is_gone_on_with(tell: Callable[[Story], None]) -> None:
    """20 of 30 are gone, 15 pages of that were held: the other five are few, and of the same wave."""

    async def story(shore: Shore) -> None:
        await shore.fill(30)
        await shore.lose(range(15), hold=True)
        assert await (await shore.link()).are_held(page(1, 5), is_first=True)
        assert not await (await shore.link()).are_held(page(1, 5), is_first=False)

    tell(story)


def test_held_files_are_counted_and_skipped_ones_come_and_go(tell: Callable[[Story], None]) -> None:
    async def story(shore: Shore) -> None:
        await shore.fill(1_500)
        await shore.lose(range(1_200), hold=True)
        assert await shore.held() == 1_200

        async def note(skipped: list[tuple[str, str]], anew: bool) -> list[str]:
            await shore.database.write(store_entries.note_skipped, "A", skipped, anew)
            return [path for path, _ in await shore.database.read(store_entries.skipped, "A", 10)]

        assert await note([("fifo", "a fifo"), ("link", "a link")], True) == ["fifo", "link"]
        assert await note([("fifo", ""), ("other", "a link")], False) == ["link", "other"]
        assert await note([("last", "a link")], True) == ["last"]

    tell(story)
