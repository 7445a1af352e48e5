"""Entries that stood still, or were killed in the middle of it: they are back in step, and no half a file is seen."""

import asyncio
import os
from collections.abc import Callable

import pytest

from tests.families.sync.parts import House, Story, at_once, until, write
from undercroft.families.sync import store_entries
from undercroft.families.sync.names import OWN_FOLDER


def test_a_change_that_keeps_size_and_time_is_found_after_a_stop(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"f": b"before", b"g": b"other "})
        await h.holds({b"f": b"before", b"g": b"other "})
        await h.engine.end("B")
        f, g = h.folders["B"] / "f", h.folders["B"] / "g"
        about = f.stat()
        f.write_bytes(b"after!")
        os.utime(f, ns=(about.st_atime_ns, about.st_mtime_ns))
        os.utime(g, ns=(0, 0))  # older, as from a backup: no change of what it holds
        await h.engine.begin("B")
        await h.holds({b"f": b"after!", b"g": b"other "})
        assert await h.database.read(store_entries.conflicts, 10) == []

    tell(story)


@pytest.mark.parametrize("away", ["A", "B"])
def test_catching_up_after_a_stop(tell_on_both: Callable[[Story], None], away: str) -> None:
    """Stopped, changed on both sides, started: A is the one who made the files, B one who got them."""

    async def story(h: House) -> None:
        tree = {b"keep": b"k", b"change": b"1", b"gone": b"g", b"moved": b"m" * 99, b"theirs": b"t", b"both": b"0"}
        write(h.folders["A"], tree)
        await h.holds(tree)
        await h.engine.end(away)
        mine, other = h.folders[away], h.folders["C"]
        (mine / "change").write_bytes(b"2")
        (mine / "gone").unlink()
        (mine / "moved").rename(mine / "elsewhere")
        (mine / "new").write_bytes(b"n")
        (other / "theirs").write_bytes(b"T")
        (other / "added").write_bytes(b"a")
        await until(lambda: all((h.folders[n] / "added").exists() for n in "ABC" if n != away), "the others")
        await h.engine.begin(away)
        await h.holds({
            b"keep": b"k", b"change": b"2", b"elsewhere": b"m" * 99, b"theirs": b"T", b"both": b"0", b"new": b"n",
            b"added": b"a",
        })  # fmt: skip

    tell_on_both(story)


def test_a_folder_that_was_renamed_while_its_entry_stood_is_renamed_elsewhere(tell: Callable[[Story], None]) -> None:
    """More files than a message holds: none is sent again, and it is no wave."""

    async def story(h: House) -> None:
        tree = {b"%d/%d" % (n % 7, n): b"%d" % n for n in range(1_200)}
        write(h.folder / "outside/old", tree)
        (h.folder / "outside/old").rename(h.folders["A"] / "old")
        await h.holds({b"old/" + name: content for name, content in tree.items()}, seconds=60)
        await h.engine.end("A")
        (h.folders["A"] / "old").rename(h.folders["A"] / "new")
        await h.engine.begin("A")
        await h.holds({b"new/" + name: content for name, content in tree.items()}, seconds=60)
        assert not await h.is_held("A")
        for name in "BC":
            assert list((h.folders[name] / OWN_FOLDER / "versions").iterdir()) == [], "all were moved"

    tell(story)


def test_killed_in_the_middle_of_it(tell_on_both: Callable[[Story], None]) -> None:
    """Either entry, then the server; and the source is another before it is back."""

    async def story(h: House) -> None:
        first, second, third = (bytes([n]) * 40_000_000 for n in (1, 2, 3))
        write(h.folders["A"], {b"large": first})
        at_b, incoming = h.engine.link("B"), h.folders["B"] / OWN_FOLDER / "incoming"
        assert at_b is not None
        await at_once(lambda: at_b.giving.under_way, "a transfer under way")
        await until(lambda: any(incoming.iterdir()) or not at_b.giving.under_way, "its bytes")
        h.kill("B")
        await h.holds({b"large": first})
        write(h.folders["A"], {b"large": second})
        await asyncio.sleep(0.05)
        h.kill("A")
        await h.holds({b"large": second})
        write(h.folders["B"], {b"large": first})
        await asyncio.sleep(0.05)
        await h.crash()
        write(h.folders["B"], {b"large": third})
        await h.start()
        tree = await h.holds_all({third})
        assert tree[b"large"] == third

    tell_on_both(story)


def test_no_partial_file_is_ever_seen(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        sizes: set[int] = set()
        write(h.folders["A"], {b"large": b"1" * 30_000_000})
        target = h.folders["B"] / "large"

        def arrived() -> bool:
            if target.exists():
                sizes.add(target.stat().st_size)
            return bool(sizes)

        await until(arrived, "the file")
        await h.equal()
        assert sizes == {30_000_000}

    tell(story)
