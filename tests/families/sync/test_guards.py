"""What looks like an accident waits for somebody's word: a root that is gone or empty, a wave of deletions."""

import asyncio
import shutil
from collections.abc import Callable

import pytest

from tests.families.sync.parts import House, Story, until, write
from undercroft.families.sync import store, store_entries


def test_a_vanished_root_stops_the_entry_and_nothing_is_deleted(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        tree = {b"%d" % n: b"x" for n in range(5)}
        write(h.folders["A"], tree)
        await h.holds(tree)
        await h.engine.end("B")
        h.folders["B"].rename(h.folder / "unmounted")
        h.folders["B"].mkdir()  # the mount point, empty
        await h.engine.begin("B")
        await _until_stopped(h, "B")
        (h.folders["A"]).rename(h.folder / "gone")  # while it runs
        await _until_stopped(h, "A")
        assert h.tree("C") == tree
        h.folders["B"].rmdir()
        (h.folder / "unmounted").rename(h.folders["B"])
        (h.folder / "gone").rename(h.folders["A"])
        await h.engine.begin("A")
        await h.engine.begin("B")
        await h.holds(tree)

    tell(story)


@pytest.mark.parametrize("really", [True, False])
def test_a_wave_of_deletions_waits(tell_on_both: Callable[[Story], None], really: bool) -> None:
    async def story(h: House) -> None:
        tree = {b"d/%d" % n: b"%d" % n for n in range(40)}
        write(h.folders["A"], tree)
        await h.holds(tree)
        await h.engine.end("A")
        shutil.rmtree(h.folders["A"] / "d")
        await h.engine.begin("A")
        assert await h.is_held("A")
        assert h.tree("B") == h.tree("C") == tree
        assert await h.engine.confirm("A", really) == 40
        await h.holds({} if really else tree)

    tell_on_both(story)


def test_nothing_goes_before_a_live_wave_is_over(tell: Callable[[Story], None]) -> None:
    """Who deletes 1,500 files one after the other is asked once, about all of them. A few that are made meanwhile, and
    few that are deleted, go their way."""

    async def story(h: House) -> None:
        tree = {b"many/%d" % n: b"%d" % n for n in range(1_500)}
        write(h.folder / "outside", tree)
        (h.folder / "outside/many").rename(h.folders["A"] / "many")
        await h.holds(tree, seconds=60)
        with h.standing_still("A"):  # how long a wave may take is tried on a clock of its own: test_waves
            await asyncio.to_thread(shutil.rmtree, h.folders["A"] / "many")
            write(h.folders["A"], {b"new": b"new"})
        await until((h.folders["B"] / "new").exists, "the new one")
        assert await h.is_held("A")
        held = await h.database.read(store.count_held, "A")
        assert held == 1_500
        for name in "BC":
            assert len(h.tree(name)) == held + 1
        left = h.tree("B")
        assert await h.engine.confirm("A", False) == held
        await h.holds(left, seconds=60)
        (h.folders["A"] / "new").unlink()
        del left[b"new"]
        await h.holds(left)

    tell(story)


@pytest.mark.parametrize("way", ["confirmed", "undone", "back again"])
def test_a_root_found_empty_waits_however_little_it_held(tell: Callable[[Story], None], way: str) -> None:
    """It still has what is the server's own, as a mount point on which the entry once ran."""

    async def story(h: House) -> None:
        tree = {b"one": b"1", b"d/two": b"2"}
        write(h.folders["A"], tree)
        await h.holds(tree)
        await h.engine.end("A")
        shutil.rmtree(h.folders["A"] / "d")
        (h.folders["A"] / "one").unlink()
        await h.engine.begin("A")
        assert await h.is_held("A")
        assert h.tree("B") == h.tree("C") == tree
        await h.engine.restart("A")
        assert await h.is_held("A")
        assert h.tree("B") == h.tree("C") == tree
        if way == "back again":
            write(h.folders["A"], tree)
        else:
            assert await h.engine.confirm("A", way == "confirmed") == 2
        await h.holds({} if way == "confirmed" else tree)
        assert not await h.is_held("A")

    tell(story)


async def _until_stopped(h: House, name: str) -> None:
    async with asyncio.timeout(20):
        while (await h.engine.status(name)) != "stopped":  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.02)
    [entry] = [entry for entry in await h.database.read(store_entries.entries) if entry.name == name]
    assert entry.reason is not None
    assert "root" in entry.reason
