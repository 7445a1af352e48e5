"""What people and programs do to files, on three entries: in the end all hold the same, and nothing is lost."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tests.families.sync.parts import House, Story, Tree, until, write
from undercroft.families.sync import listing, store_entries


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


def test_two_names_are_swapped(tell: Callable[[Story], None]) -> None:
    """By way of a third, which is there for a moment only."""

    async def story(h: House) -> None:
        a = h.folders["A"]
        write(a, {b"one": b"1", b"two": b"2"})
        await h.holds({b"one": b"1", b"two": b"2"})
        for n in range(1, 6):
            for old, new in (("one", f"moved {n}"), ("two", "one"), (f"moved {n}", "two")):
                (a / old).rename(a / new)
                await asyncio.sleep(0.02 * (n % 3))
            await h.holds({b"one": b"2", b"two": b"1"} if n % 2 else {b"one": b"1", b"two": b"2"})

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
        with h.standing_still("B"):  # however long it takes, it is seen as one
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


def _states(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in root.iterdir():
        about = path.stat()
        if path.is_file():
            found[path.name] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found
