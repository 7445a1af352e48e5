"""What people and programs do to files, on three entries: in the end all hold the same, and nothing is lost."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.families.sync.parts import House, Story, Tree, until, write
from undercroft.families.sync import listing, store, store_entries, store_versions
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import OWN_FOLDER, fid_of
from undercroft.families.sync.waves import FEW


def test_create_modify_append_delete(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b, c = (h.folders[name] for name in "ABC")
        write(a, {b"f": b"one", b"empty": b""})
        await h.holds({b"f": b"one", b"empty": b""})
        write(b, {b"f": b"two"})
        await h.holds({b"f": b"two", b"empty": b""})
        with (c / "f").open("ab") as file:
            file.write(b" more")
            file.flush()
            os.fsync(file.fileno())
            await until(lambda: (a / "f").read_bytes() == b"two more", "what was appended, before it is closed")
        about = (a / "f").stat()
        (a / "f").write_bytes(b"TWO MORE")
        os.utime(a / "f", ns=(about.st_atime_ns, about.st_mtime_ns))
        await h.holds({b"f": b"TWO MORE", b"empty": b""})
        (b / "f").unlink()
        await h.holds({b"empty": b""})

    tell(story)


def test_mode_and_time_come_along(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        write(a, {b".new": b"#!/bin/sh\n"})
        (a / ".new").chmod(0o750)
        os.utime(a / ".new", ns=(1_000_000_000, 1_234_567_890_123_456_789))
        (a / ".new").rename(a / "run")
        await until((b / "run").exists, "the file")
        await h.equal()
        assert (b / "run").stat().st_mode & 0o777 == 0o750
        assert (b / "run").stat().st_mtime_ns == 1_234_567_890_123_456_789

    tell(story)


def test_renames_are_not_sent_again(tell: Callable[[Story], None]) -> None:
    """The very file at the others gets the new name: its inode stays."""

    async def story(h: House) -> None:
        a, b, c = (h.folders[name] for name in "ABC")
        tree = {b"folder/%d" % n: b"%d" % n * 1_000 for n in range(20)}
        write(a, {b"old": b"content", **tree})
        await h.holds({b"old": b"content", **tree})
        inodes = {(b / "old").stat().st_ino, (b / "folder/7").stat().st_ino}
        (a / "old").rename(a / "new")
        await h.holds({b"new": b"content", **tree})
        (c / "folder").rename(c / "moved")
        moved = {name.replace(b"folder", b"moved"): content for name, content in tree.items()}
        await h.holds({b"new": b"content", **moved})
        assert {(b / "new").stat().st_ino, (b / "moved/7").stat().st_ino} == inodes
        (a / "new").rename(a / "NEW")
        await h.holds({b"NEW": b"content", **moved})

    tell(story)


def test_into_the_root_and_out_of_it(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        outside = h.folder / "outside"
        write(outside, {b"in/a": b"1", b"in/b/c": b"2", b"single": b"3"})
        (outside / "in").rename(h.folders["A"] / "in")
        (outside / "single").rename(h.folders["B"] / "single")
        await h.holds({b"in/a": b"1", b"in/b/c": b"2", b"single": b"3"})
        (h.folders["C"] / "in").rename(outside / "out")
        await h.holds({b"single": b"3"})
        assert not (h.folders["A"] / "in").exists(), "folders that are empty now go"
        (h.folders["A"] / "single").rename(outside / "single")
        await h.holds({})

    tell(story)


def test_editors(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a = h.folders["A"]
        write(a, {b"text": b"0"})
        await h.holds({b"text": b"0"})
        for n in range(1, 6):
            content = b"%d" % n
            (a / ".text.swp").write_bytes(b"swap")  # vim: the old one aside, a new one written, the old one gone
            (a / "text").rename(a / "text~")
            (a / "text").write_bytes(content)
            (a / "text~").unlink()
            (a / ".text.swp").unlink()
            (a / "text.tmp").write_bytes(content + b"!")  # others: a new one beside, then over it
            (a / "text.tmp").rename(a / "text")
            await h.holds({b"text": content + b"!"})
        assert await h.database.read(store_entries.conflicts, 10) == []

    tell(story)


def test_deep_trees_at_once_and_swaps(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        deep = {b"/".join([b"d"] * depth) + b"/f%d" % depth: b"%d" % depth for depth in range(1, 10)}
        write(a, deep)
        await h.holds(deep)
        shutil.rmtree(b / "d")
        (b / "d").write_bytes(b"a file now")
        await until((a / "d").is_file, "the file in the folder's place")
        await h.holds({b"d": b"a file now"})
        (a / "d").unlink()
        write(a, {b"d/x/y": b"a folder again"})
        await h.holds({b"d/x/y": b"a folder again"})

    tell(story)


NAMES = [
    b" lead", b"trail ", b"two\nlines", b"tab\t", "é".encode(), "e\u0301".encode(), b"caf\xe9", b"\xff\xfe", b"a\\xffb",
    b"\\x5c", b"x" * 255, "ü".encode() * 127, b"-rf", b"~", b"%41", b"con", b"a:b*?", "日本語/ファイル".encode(),
    b"case", b"CASE", b"q'\"$`", b".hidden", b"..x",
]  # fmt: skip


def test_names_are_kept_exactly(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        tree = {name: name for name in NAMES}
        write(h.folders["A"], tree)
        await h.holds(tree)
        write(h.folders["C"], {name: b"2" + name for name in NAMES})
        await h.holds({name: b"2" + name for name in NAMES})
        for name in NAMES:
            (h.folders["B"] / os.fsdecode(name)).unlink()
        assert await h.is_held("B"), "more than half of them is a wave"
        assert await h.engine.confirm("B", True) == len(NAMES)
        await h.holds({})

    tell(story)


def test_rewritten_while_it_is_copied(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        path = h.folders["A"] / "large"
        for n in range(10):
            path.write_bytes(bytes([n]) * 20_000_000)
            await asyncio.sleep(0.02)
        await h.holds({b"large": bytes([9]) * 20_000_000})
        assert await h.database.read(store_entries.conflicts, 10) == []

    tell(story)


def test_many_files_from_three_sides(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        tree: Tree = {}
        for n in range(60):
            name, content = b"%s/%d" % (b"ABC"[n % 3 : n % 3 + 1], n), b"%d" % n
            write(h.folders["ABC"[n % 3]], {name: content})
            tree[name] = content
        await h.holds(tree)
        listed = await h.database.read(listing.page, 0, 100, listing.Wanted())
        assert [set(one.uptodate) for one in listed] == [set("ABC")] * 60
        for name in tree:  # and each changed by another than who made it, all at once
            write(h.folders["ABC"[int(name.split(b"/")[1]) // 3 % 3]], {name: tree[name] + b" again"})
        await h.holds({name: content + b" again" for name, content in tree.items()})
        listed = await h.database.read(listing.page, 0, 100, listing.Wanted())
        assert [set(one.uptodate) for one in listed] == [set("ABC")] * 60
        assert await h.database.read(store_entries.conflicts, 10) == []

    tell_on_both(story)


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


def test_a_conflict_keeps_both(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"doc.txt": b"0"})
        await h.holds({b"doc.txt": b"0"})
        await h.engine.end("B")
        write(h.folders["A"], {b"doc.txt": b"by A"})
        write(h.folders["B"], {b"doc.txt": b"by B"})
        await h.equal("A", "C")
        await h.engine.begin("B")
        tree = await h.holds_all({b"by A", b"by B"})
        assert tree[b"doc.txt"] == b"by B", "the one that was seen later has the name"
        [other] = [name for name in tree if name != b"doc.txt"]
        assert other.startswith(b"doc.conflict-A-")
        assert other.endswith(b".txt")
        [(_, path, kept_as, entry)] = await h.database.read(store_entries.conflicts, 10)
        assert (path, kept_as.encode(), entry) == ("doc.txt", other, "B")

    tell_on_both(story)


def test_live_edits_at_once(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"f": b"0"})
        await h.holds({b"f": b"0"})
        for n in range(5):
            contents = {name: b"%d by %s" % (n, name.encode()) for name in "ABC"}
            for name, content in contents.items():
                write(h.folders[name], {b"f": content})
            await h.holds_all(set(contents.values()))

    tell_on_both(story)


def test_the_same_made_twice_is_no_conflict(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        await h.engine.end("B")
        write(h.folders["A"], {b"same": b"equal", b"differs": b"a"})
        write(h.folders["B"], {b"same": b"equal", b"differs": b"b"})
        await h.equal("A", "C")
        await h.engine.begin("B")
        tree = await h.holds_all({b"equal", b"a", b"b"})
        assert len(tree) == 3

    tell(story)


def test_a_change_beats_a_deletion(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"one": b"1", b"two": b"2"})
        await h.holds({b"one": b"1", b"two": b"2"})
        await h.engine.end("B")
        (h.folders["A"] / "one").unlink()
        (h.folders["A"] / "two").write_bytes(b"2 changed")
        (h.folders["B"] / "one").write_bytes(b"1 changed")
        (h.folders["B"] / "two").unlink()
        await h.equal("A", "C")
        await h.engine.begin("B")
        await h.holds({b"one": b"1 changed", b"two": b"2 changed"})

    tell_on_both(story)


def test_a_rename_against_a_change(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"f": b"old"})
        await h.holds({b"f": b"old"})
        await h.engine.end("B")
        (h.folders["A"] / "f").rename(h.folders["A"] / "g")
        (h.folders["B"] / "f").write_bytes(b"changed")
        await h.equal("A", "C")
        await h.engine.begin("B")
        await h.holds({b"f": b"changed", b"g": b"old"})

    tell(story)


def test_links_and_special_files_stay_where_they_are(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        secret = h.folder / "secret"
        secret.mkdir()
        (secret / "key").write_bytes(b"key")
        (a / "out").symlink_to(secret)
        (a / "dangling").symlink_to("nothing")
        (a / "loop").symlink_to("loop")
        (a / "file-link").symlink_to(secret / "key")
        os.mkfifo(a / "fifo")
        with socket.socket(socket.AF_UNIX) as listening:
            descriptor = os.open(a, os.O_RDONLY)  # the path of a socket may have 107 bytes only
            listening.bind(f"/proc/self/fd/{descriptor}/socket")
            os.close(descriptor)
        (a / "hard").write_bytes(b"h")
        (a / "hard2").hardlink_to(a / "hard")
        (b / "trap").symlink_to(secret)
        write(a, {b"trap/escaped": b"never outside", b"plain": b"p"})
        await until((h.folders["C"] / "trap/escaped").exists, "C")
        await until(lambda: (b / "plain").exists() and (b / "hard2").exists(), "B")
        await h.settle()
        assert [path.name for path in secret.iterdir()] == ["key"]
        assert h.tree("C") == {b"trap/escaped": b"never outside", b"plain": b"p", b"hard": b"h", b"hard2": b"h"}
        skipped = dict(await h.database.read(store_entries.skipped, "A", 100))
        assert {"out", "dangling", "loop", "file-link", "fifo", "socket"} <= set(skipped)
        link = h.engine.link("B")
        assert link is not None
        assert "trap/escaped" in link.giving.failed, "and it is said"
        (b / "trap").unlink()
        await until((b / "trap/escaped").exists, "the file, once the link is gone", 70)

    tell(story)


def test_idle_means_idle(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"%d" % n: b"%d" % n for n in range(50)})
        await h.equal()
        before = {name: _states(h.folders[name]) for name in "ABC"}
        known = await h.database.read(listing.page, 0, 100, listing.Wanted())
        for name in "ABC":
            for path in h.folders[name].iterdir():
                path.stat()
        await h.settle()
        await h.engine.restart("B")
        await until(lambda: h.is_scanned("B"), "B again")
        await h.settle()
        assert {name: _states(h.folders[name]) for name in "ABC"} == before
        assert await h.database.read(listing.page, 0, 100, listing.Wanted()) == known
        (h.folders["A"] / "7").touch()
        await h.settle()
        after = {name: _states(h.folders[name]) for name in "BC"}
        assert after == {name: before[name] for name in "BC"}, "touched is not changed"

    tell(story)


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
        await asyncio.to_thread(shutil.rmtree, h.folders["A"] / "many")
        write(h.folders["A"], {b"new": b"new"})
        await until((h.folders["B"] / "new").exists, "the new one")
        assert await h.is_held("A")
        held = await h.database.read(store.count_held, "A")
        assert held >= 1_500 - FEW
        for name in "BC":
            assert len(h.tree(name)) == held + 1
        left = h.tree("B")
        assert await h.engine.confirm("A", False) == held
        await h.holds(left, seconds=60)
        (h.folders["A"] / "new").unlink()
        del left[b"new"]
        await h.holds(left)

    tell(story)


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


def test_rules(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        await h.share(
            Rule(Match("/docs"), ("A", "B")), Rule(Match(None, ("application/pdf", "image/*")), ("C",)),
            Rule(Match("/docs/", ("text/plain",)), ("C",)),
        )  # fmt: skip
        write(
            h.folders["A"], {b"docs/a.txt": b"1", b"docs/b.bin": b"2", b"docsx": b"3", b"x.pdf": b"4", b"y.png": b"5"}
        )
        await until(lambda: len(h.tree("B")) == 2 and len(h.tree("C")) == 3, "each to have its own")
        await h.settle()
        assert set(h.tree("B")) == {b"docs/a.txt", b"docs/b.bin"}
        assert set(h.tree("C")) == {b"docs/a.txt", b"x.pdf", b"y.png"}
        await h.share()
        await h.holds(h.tree("A"))

    tell_on_both(story)


def test_what_one_keeps_that_holds_the_file_no_more_can_be_restored(tell: Callable[[Story], None]) -> None:
    """B had it as it was at first, and was taken out of the rule; the others have gone on."""

    async def story(h: House) -> None:
        for text in (b"first", b"second"):
            write(h.folders["A"], {b"f": text})
            await h.holds({b"f": text})
        await h.share(Rule(Match("/"), ("A", "C")))
        write(h.folders["A"], {b"f": b"third"})
        await h.equal("A", "C")
        found = await h.database.read(store_versions.of_file, fid_of("f"))
        [first] = [version for version in found if version.entry == "B"]
        await h.engine.restore("f", first, "somebody")
        await h.holds({b"f": b"first"})

    tell(story)


def test_killed_in_the_middle_of_it(tell_on_both: Callable[[Story], None]) -> None:
    """Either entry, then the server; and the source is another before it is back."""

    async def story(h: House) -> None:
        first, second, third = (bytes([n]) * 40_000_000 for n in (1, 2, 3))
        write(h.folders["A"], {b"large": first})
        await until(lambda: bool(list((h.folders["B"] / OWN_FOLDER / "incoming").iterdir())), "a transfer under way")
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


async def _until_stopped(h: House, name: str) -> None:
    async with asyncio.timeout(20):
        while (await h.engine.status(name)) != "stopped":  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.02)
    [entry] = [entry for entry in await h.database.read(store_entries.entries) if entry.name == name]
    assert entry.reason is not None
    assert "root" in entry.reason


def _states(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in root.iterdir():
        about = path.stat()
        if path.is_file():
            found[path.name] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found
