"""People who do different things to one file at the same time: nobody's content is lost, and all see the same."""

import asyncio
import os
import shutil
from collections.abc import Callable

import pytest
from blake3 import blake3

from tests.families.sync.parts import House, Story, until, write
from undercroft.families.sync import listing, store_entries
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import OWN_FOLDER, fid_of


def test_a_deletion_against_a_change(tell_on_both: Callable[[Story], None]) -> None:
    """Live: a change that the one who deletes has not seen survives; one that they saw goes with the file."""

    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        for n in range(5):
            write(a, {b"f": b"first"})
            await h.holds({b"f": b"first"})
            change = b"change %d" % n
            (a / "f").unlink()
            write(b, {b"f": change})
            tree = await h.equal()
            assert tree in ({b"f": change}, {}), "never the old one"
            assert tree or change in _kept(h)
            (b / "f").unlink(missing_ok=True)
            await h.holds({})

    tell_on_both(story)


def test_a_rename_against_a_change(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        for n in range(5):
            old, new, change = f"old {n}", f"new {n}", b"change %d" % n
            write(a, {old.encode(): b"first %d" % n})
            await until((b / old).exists, "the file")
            await h.equal()
            (a / old).rename(a / new)
            write(b, {old.encode(): change})
            tree = await h.holds_all({change})
            assert tree[new.encode()] in (b"first %d" % n, change)

    tell_on_both(story)


def test_two_names_for_one_file(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        write(h.folders["A"], {b"f": b"content"})
        await h.holds({b"f": b"content"})
        (h.folders["A"] / "f").rename(h.folders["A"] / "g")
        (h.folders["B"] / "f").rename(h.folders["B"] / "h")
        tree = await h.holds_all({b"content"})
        assert b"f" not in tree
        assert tree in ({b"g": b"content", b"h": b"content"}, {b"g": b"content"}, {b"h": b"content"})

    tell(story)


@pytest.mark.parametrize("away", ["A", "B"])
def test_a_file_here_and_a_folder_there(tell_on_both: Callable[[Story], None], away: str) -> None:
    """The folder keeps the name, the file is kept beside; whichever of them is heard of first."""

    async def story(h: House) -> None:
        await h.engine.end(away)
        write(h.folders["A"], {b"d": b"a file"})
        write(h.folders["B"], {b"d/x": b"in a folder", b"d/y/z": b"deep in it"})
        await h.equal("B" if away == "A" else "A", "C")
        await h.engine.begin(away)
        tree = await h.holds_all({b"a file", b"in a folder", b"deep in it"})
        [beside] = [name for name, content in tree.items() if content == b"a file"]
        assert beside.startswith(b"d.conflict-A-")
        assert {name for name in tree if name != beside} == {b"d/x", b"d/y/z"}
        [(_, path, kept_as, _)] = await h.database.read(store_entries.conflicts, 10)
        assert (path, kept_as.encode()) == ("d", beside)

    tell_on_both(story)


def test_a_folder_becomes_a_file_while_others_write_into_it(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        write(a, {b"d/x": b"1", b"d/y": b"2"})
        await h.holds({b"d/x": b"1", b"d/y": b"2"})
        shutil.rmtree(a / "d")
        write(a, {b"d": b"a file"})
        if (b / "d").is_dir():
            (b / "d/new").write_bytes(b"written")
            tree = await h.equal()
            assert b"written" in {*tree.values(), *_kept(h)}
        tree = await h.equal()
        assert b"a file" in tree.values()

    tell_on_both(story)


def test_all_write_the_same_new_name(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        for n in range(5):
            contents = {name: b"%d by %s" % (n, name.encode()) for name in "ABC"}
            for name, content in contents.items():
                write(h.folders[name], {b"new %d" % n: content})
            await h.holds_all(set(contents.values()))

    tell_on_both(story)


def test_up_to_date_is_never_ahead_of_the_disk(tell_on_both: Callable[[Story], None]) -> None:
    """Whatever moment is looked at: who is named there has that very content, whole; and the id stays with the name.

    The next content comes as soon as the index knows of the one before, which is then on its way.
    """

    async def story(h: House) -> None:
        names = {f"f{n}": fid_of(f"f{n}") for n in range(6)}
        sizes = [2_000_000 + 1_000 * n for n in range(6)]
        for size in sizes:
            content = os.urandom(size)
            for name in names:
                (h.folder / "new").write_bytes(content)
                (h.folder / "new").rename(h.folders["A"] / name)
            known = 0
            while known != size:
                for name, fid in names.items():
                    known = await _known_size(h, "B", name, fid)
        async with asyncio.timeout(30):
            while {await _known_size(h, "B", name, fid, only_there=True) for name, fid in names.items()} != {size}:
                pass
        await h.equal()
        listed = await h.database.read(listing.page, 0, 99, listing.Wanted())
        assert {one.file.path: one.fid for one in listed} == names

    tell_on_both(story)


async def _known_size(h: House, entry: str, name: str, fid: str, *, only_there: bool = False) -> int:
    """As the index has it, 0 where it is not known or not there; where it says that the entry has it, so it has."""
    found = await h.database.read(listing.find, fid)
    if found is None or found.file.content is None:
        return 0
    if entry not in found.uptodate:
        return 0 if only_there else found.file.content.size
    there = (h.folders[entry] / name).read_bytes()
    if found == await h.database.read(listing.find, fid):  # and nothing newer has come meanwhile
        assert blake3(there).hexdigest() == found.file.content.hash
    return found.file.content.size


def test_without_rules_all_stays_where_it_is(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        await h.share(Rule(Match("/nowhere"), ("A", "B", "C")))
        write(h.folders["A"], {b"mine": b"1"})
        await h.settle()
        await h.equal("B", "C")
        assert (h.tree("A"), h.tree("B")) == ({b"mine": b"1"}, {})
        await h.engine.put_rules(())
        await h.engine.apply_rules()
        write(h.folders["B"], {b"nowhere/x": b"2"})
        await h.settle()
        assert (h.tree("A"), h.tree("C")) == ({b"mine": b"1"}, {})
        await h.share()
        await h.holds({b"mine": b"1", b"nowhere/x": b"2"})

    tell(story)


def test_all_were_away(tell_on_both: Callable[[Story], None]) -> None:
    """Each catches up with each: all three are stopped, changed and started in another order."""

    async def story(h: House) -> None:
        write(h.folders["A"], {b"moved": b"m" * 50, b"gone": b"g", b"a": b"0", b"b": b"0", b"c": b"0"})
        await h.equal()
        await until((h.folders["C"] / "c").exists, "C")
        await h.equal()
        for name in "ABC":
            await h.engine.end(name)
        for name in "ABC":
            write(h.folders[name], {name.lower().encode(): b"by " + name.encode(), b"new " + name.encode(): b"n"})
        (h.folders["B"] / "moved").rename(h.folders["B"] / "elsewhere")
        (h.folders["C"] / "gone").unlink()
        for name in "CAB":
            await h.engine.begin(name)
        await h.holds({
            b"elsewhere": b"m" * 50, b"a": b"by A", b"b": b"by B", b"c": b"by C", b"new A": b"n", b"new B": b"n",
            b"new C": b"n",
        })  # fmt: skip

    tell_on_both(story)


def test_hard_links_are_files_of_their_own(tell: Callable[[Story], None]) -> None:
    """Here they share an inode; elsewhere they do not, and nothing is written through one into the other."""

    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        write(a, {b"one": b"same"})
        (a / "two").hardlink_to(a / "one")
        await h.holds({b"one": b"same", b"two": b"same"})
        assert (b / "one").stat().st_ino != (b / "two").stat().st_ino
        write(b, {b"one": b"changed"})
        await h.holds({b"one": b"changed", b"two": b"same"})
        (b / "three").hardlink_to(b / "two")
        await h.holds({b"one": b"changed", b"two": b"same", b"three": b"same"})
        (b / "two").write_bytes(b"through both names")  # both have changed; a look at everything finds the other
        await h.settle()
        await h.holds({b"one": b"changed", b"two": b"through both names", b"three": b"through both names"})

    tell(story)


def _kept(h: House) -> set[bytes]:
    return {path.read_bytes() for name in h.folders for path in h.folders[name].glob(f"{OWN_FOLDER}/versions/*")}
