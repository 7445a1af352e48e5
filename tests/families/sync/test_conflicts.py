"""Two who change one file without knowing of each other: both contents are kept, and all see the same."""

from collections.abc import Callable

from tests.families.sync.parts import House, Story, write
from undercroft.families.sync import store_entries


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
