"""The index on both engines: what is reported, what is to do, what is listed."""

import asyncio
import secrets
import stat
from collections.abc import Awaitable, Callable

import pytest

from tests.families.sync.index import NOW, index
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.families.sync import actions, listing, store, store_entries, store_versions, walks
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import LONGEST_PATH, complaint, fid_of
from undercroft.families.sync.operations import Delete, Kept, Move, Put, Settled
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.sharing import Sharing
from undercroft.families.sync.storages.local_content import unfit
from undercroft.families.sync.waves import is_wave

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


def file(path: str, text: str = "x") -> Seen:
    return Seen(path, Content(text, len(text), 1, 0o644), f"r-{text}")


def test_a_file_goes_its_way(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        noticed = await db.write(actions.note_seen, "A", [file("f"), file("ö\n", "y")], NOW)
        assert noticed.busy == {"B"}
        assert await db.read(store.behind_of, "B", "", 10) == ["f", "ö\n"]
        [put, _] = await db.read(actions.to_do, "B", ["f", "ö\n"])
        assert isinstance(put, Put)
        assert put.sources == (("A", "f"),)
        done = [Settled(Seen("f", put.content, "at B"), put.version)]
        await db.write(actions.settle, "B", done, [Kept("f", "place", "h", 1, 2)], NOW)
        assert await db.read(store.behind_of, "B", "", 10) == ["ö\n"]
        assert await db.read(store.present_at, "B", "", 10) == [("f", "at B", "x", 1)]
        listed = await db.read(listing.page, 0, 10, listing.Wanted())
        assert {one.file.path: one.uptodate for one in listed} == {"f": ("A", "B"), "ö\n": ("A",)}
        [behind] = await db.read(listing.page, 0, 10, listing.Wanted(behind=True))
        assert behind.file.path == "ö\n"
        assert [kept.place for kept in await db.read(store_versions.of_file, fid_of("f"))] == ["place"]
        await db.write(actions.note_seen, "A", [Seen("f", None, "")], NOW + 1)
        [delete] = await db.read(actions.to_do, "B", ["f"])
        assert delete == Delete("f", delete.version, "at B")
        await db.write(actions.settle, "B", [Settled(Seen("f", None, ""), delete.version)], [], NOW + 2)
        assert (await db.read(store.load, ["f"]))["f"] == store.Known(None, {}), "nothing is left to remember"

    tell(story)


def test_what_arrives_after_all_have_forgotten_it_goes(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await db.write(actions.note_seen, "A", [file("f")], NOW)
        [put] = await db.read(actions.to_do, "B", ["f"])
        assert isinstance(put, Put)
        await db.write(actions.note_seen, "A", [Seen("f", None, "")], NOW + 1)
        await db.write(actions.settle, "B", [Settled(Seen("f", put.content, "at B"), put.version)], [], NOW + 2)
        assert [step.path for step in await db.read(actions.to_do, "B", ["f"])] == ["f"]
        assert await db.read(listing.page, 0, 10, listing.Wanted()) == []

    tell(story)


def test_lists_have_pages_and_filters(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        names = [f"d/{n}%_!.txt" for n in range(30)]
        await db.write(actions.note_seen, "A", [file(name) for name in names], NOW)
        pages = [await db.read(listing.page, at, 7, listing.Wanted()) for at in range(0, 35, 7)]
        found = [one for page in pages for one in page]
        assert [one.fid for one in found] == sorted(one.fid for one in found)
        assert sorted(one.file.path for one in found) == sorted(names)
        assert len(await db.read(listing.page, 0, 99, listing.Wanted("A", "9%_!"))) == 3
        assert await db.read(listing.page, 0, 99, listing.Wanted("C")) == []
        assert await db.read(listing.page, 0, 99, listing.Wanted(text="9%!")) == []

    tell(story)


def test_a_wave_waits_and_is_confirmed_or_undone(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        names = [str(n) for n in range(20)]
        await db.write(actions.note_seen, "A", [file(name) for name in names], NOW)
        done = [Settled(file(put.path), put.version) for put in await db.read(actions.to_do, "B", names)]
        await db.write(actions.settle, "B", done, [], NOW)
        gone = [Seen(name, None, "") for name in names]
        await db.write(actions.note_seen, "A", gone, NOW + 1, hold=True)
        assert len(await db.read(store.held_of, "A", 99)) == 20
        assert len(await db.read(listing.page, 0, 99, listing.Wanted())) == 20
        assert (await db.write(actions.confirm_deletions, "A", False, NOW + 2)).busy == {"A"}
        assert len(await db.read(store.behind_of, "A", "", 99)) == 20
        assert is_wave(11, 20, 0.5)
        assert not is_wave(10, 10, 0.5)
        assert not is_wave(11, 22, 0.5)

    tell(story)


def test_rules_name_entries_that_exist_and_hold_them(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        with pytest.raises(Refusal, match="no entry 'C'"):
            await db.write(actions.put_rules, (Rule(Match(), ("C",)),))
        with pytest.raises(Refusal, match="named by a rule"):
            await db.write(actions.begin_removal, "B")
        await db.write(actions.note_seen, "A", [file("f")], NOW)
        await db.write(actions.put_rules, (Rule(Match(), ("A",)),))
        only_a = Sharing([Rule(Match(), ("A",))])
        assert (await db.read(actions.preview_page, only_a, ""))[0] == [("f", set(), {"B"})]
        await db.write(actions.apply_rules)
        assert not (await db.write(walks.give_out)).more
        await db.write(actions.begin_removal, "B")
        with pytest.raises(Refusal, match="no entry 'B'"):
            await db.write(actions.put_rules, (Rule(Match(), ("B",)),))
        with pytest.raises(Refusal, match="entry B is being removed"):
            await db.write(actions.turn, "B", True)
        with pytest.raises(Refusal, match="entry B is being removed"):
            await db.write(actions.change_entry, "B", {"root": "/B"})
        with pytest.raises(Refusal, match="entry B is being removed"):
            await db.write(actions.add_entry, "B", "local_storage", {"root": "/B"}, NOW)
        while (await db.write(walks.forget, "B")).more:
            pass
        [listed] = await db.read(listing.page, 0, 9, listing.Wanted())
        assert listed.file.owners == listed.uptodate == ("A",)
        with pytest.raises(Refusal, match="entry B not found"):
            await db.read(actions.require_entry, "B")

    tell(story)


def test_many_make_way_at_once_as_one_after_the_other(tell: Callable[[Story], None]) -> None:
    """Of a file and all that is to be below it, and of what is in the way of one another, only one goes."""

    async def story(db: Database) -> None:
        await db.write(actions.note_seen, "A", [file("d"), file("e"), file("e/x/y")], NOW)
        below = [file(f"d/{n}", f"{n}") for n in range(50)]
        await db.write(actions.note_seen, "B", [*below, file("e/x", "x")], NOW + 1)
        pairs = [*((one.path, "d") for one in below), ("e/x", "e/x/y"), ("e", "e/x"), ("unknown", "unknown/x")]
        assert (await db.write(actions.make_way, pairs, NOW + 2)).paths == ["d", "e/x"]
        assert {path for _, path, *_ in await db.read(store_entries.conflicts, 9)} == {"d", "e/x"}
        assert (await db.write(actions.make_way, pairs[:50], NOW + 3)).paths == []

    tell(story)


def test_a_file_makes_way_for_a_folder_when_nobody_holds_both(tell: Callable[[Story], None]) -> None:
    async def story(db: Database) -> None:
        await db.write(actions.note_seen, "A", [file("d"), file("d/x")], NOW)
        assert (await db.write(actions.make_way, [("d", "d/x")], NOW + 1)).paths == [], "A is not done telling"
        await db.write(actions.note_seen, "A", [Seen("d/x", None, "")], NOW + 2)
        assert (await db.write(actions.make_way, [("d/x", "d")], NOW + 3)).paths == [], "there is one of them"
        await db.write(actions.note_seen, "B", [file("d/x", "y")], NOW + 4)
        assert (await db.write(actions.make_way, [("d/x", "d")], NOW + 5)).paths == ["d"]
        [delete] = await db.read(actions.to_do, "A", ["d"])
        [(_, path, kept_as, entry)] = await db.read(store_entries.conflicts, 9)
        assert delete == Delete("d", delete.version, "r-x", kept_as)
        assert (path, entry) == ("d", "A")
        listed = await db.read(listing.page, 0, 9, listing.Wanted())
        assert [one.file.path for one in listed] == ["d/x"]
        assert (await db.read(store.load, ["d"]))["d"].file.past == ("x",)  # type: ignore[union-attr]

    tell(story)


def test_nobody_writes_over_what_another_has_written(tell: Callable[[Story], None]) -> None:
    """Two entries tell of the same names in the same moment; each has to find what the other has said."""

    async def story(db: Database) -> None:
        for n in range(20):
            paths = [f"{n}/{m}" for m in range(20)]
            await asyncio.gather(*(
                db.write(actions.note_seen, entry, [file(path, f"{path} of {entry}") for path in paths], NOW + n)
                for entry in ("A", "B")
            ))  # fmt: skip
        conflicts = await db.read(store_entries.conflicts, 1_000)
        assert len(conflicts) == 400
        for n in range(20):
            known = await db.read(store.load, [f"{n}/{m}" for m in range(20)])
            assert all(
                sorted(copy.keep_as != "" for copy in one.copies.values()) == [False, True] for one in known.values()
            )

    tell(story)


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("y", "x")])
def test_a_renamed_folder_is_moved_though_its_names_are_in_different_pages(
    tell: Callable[[Story], None], old: str, new: str
) -> None:
    async def story(db: Database) -> None:
        seen = [file(f"{old}/{n}", f"content {n}") for n in range(30)]
        await db.write(actions.note_seen, "A", seen, NOW)
        for put in await db.read(actions.to_do, "B", [one.path for one in seen]):
            assert isinstance(put, Put)
            there = Settled(Seen(put.path, put.content, f"{put.path} at B"), put.version)
            await db.write(actions.settle, "B", [there], [], NOW)
        renamed = [one._replace(path=one.path.replace(old, new)) for one in seen]
        await db.write(actions.note_seen, "A", renamed, NOW)
        await db.write(actions.note_seen, "A", [Seen(one.path, None, "") for one in seen], NOW + 1)
        page = await db.read(store.behind_of, "B", "", 10)
        steps = await db.read(actions.to_do, "B", page, {f"{new}/1", f"{old}/2"})
        assert len(steps) == 10
        assert sum(isinstance(step, Move) for step in steps) >= 9, "one of the two may be under way by its other name"

    tell(story)


def test_a_path_that_no_index_takes_is_skipped_and_told(tell: Callable[[Story], None]) -> None:
    """Of random letters: what repeats itself PostgreSQL would make shorter."""
    letters = secrets.token_hex(LONGEST_PATH)
    folders = "/".join(letters[at : at + 200] for at in range(0, len(letters), 200))
    longest, long = folders[:LONGEST_PATH].rstrip("/"), folders[: LONGEST_PATH + 1] + "ab"
    assert complaint(longest) is None and unfit(stat.S_IFREG, longest.encode()) is None
    assert complaint(long) is not None and unfit(stat.S_IFREG, long.encode()) is not None

    async def story(db: Database) -> None:
        name = "\U00020000" * 100
        skipped = [(long + "/a", "too long"), (long + "/b", "too long")]
        await db.write(store_entries.note_skipped, name, skipped, True)
        await db.write(store_entries.note_skipped, name, [(longest, "a fifo")], False)
        assert len(await db.read(store_entries.skipped, name, 10)) == 2
        await db.write(actions.add_entry, name, "local_storage", {"root": "/long"}, NOW)
        await db.write(actions.note_seen, name, [file(longest)], NOW)
        assert [path for path, *_ in await db.read(store.present_at, name, "", 10)] == [longest]

    tell(story)
