"""What each entry has, had and should have → what to do: whatever happens, in whatever order things are heard of."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.families.sync.world import ENTRIES, STAMP, World, content
from undercroft.families.sync import reconcile, steps
from undercroft.families.sync.names import complaint, conflict_name, fid_of, is_too_long, raw, shown
from undercroft.families.sync.operations import Delete, Move, Put
from undercroft.families.sync.reconcile import Change, Copy, File, Seen

STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("copy"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("delete"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("hear"), st.sampled_from(ENTRIES), st.just("")),
    st.tuples(st.sampled_from(["begin", "act"]), st.sampled_from(ENTRIES), st.just("")),
)


@given(st.lists(STEP, max_size=30))
@example([("write", "A", "f"), ("hear", "A", ""), ("begin", "B", ""), ("begin", "C", ""), ("delete", "A", "f")])
def test_all_become_equal_and_nothing_is_lost(told: list[tuple[str, str, str]]) -> None:
    world = World()
    written: set[str] = set()
    for number, (what, entry, path) in enumerate(told):
        if what == "write":
            written.add(f"text {number}")
            world.change(entry, path, f"text {number}")
        elif what == "copy":
            written.add("the same everywhere")
            world.change(entry, path, "the same everywhere")
        elif what == "delete":
            world.change(entry, path, None)
        else:
            getattr(world, what)(entry)
    world.come_to_rest()
    disks = [world.disks[entry] for entry in ENTRIES]
    assert disks[0] == disks[1] == disks[2]
    assert written <= set(disks[0].values()) | world.kept
    before = dict(world.revisions)
    world.come_to_rest()
    assert world.revisions == before, "idle means idle"
    for path, file in world.files.items():
        for entry in ENTRIES:
            if reconcile.up_to_date(file, world.copies[path].get(entry)):
                assert file.content is not None
                assert world.disks[entry][path] == file.content.hash, "up to date is never ahead of the disk"


OWNERS = st.sets(st.sampled_from(ENTRIES)).map(lambda names: tuple(sorted(names)))
MORE = st.one_of(
    STEP,
    st.tuples(st.just("give"), OWNERS, st.just("")),
    st.tuples(st.sampled_from(["remove", "confirm", "refuse", "wave", "calm"]), st.sampled_from(ENTRIES), st.just("")),
)


@given(st.lists(MORE, max_size=40))
def test_whoever_is_behind_can_be_given_the_content(told: list[tuple[str, Any, str]]) -> None:
    """Whatever rules, removals and held deletions come between: some copy holds a file's content, or one that is held
    waits for a word. So that in the end all owners hold it; and nothing is lost."""
    world = World()
    written: set[str] = set()
    for number, (what, entry, path) in enumerate(told):
        if what == "write" and entry in world.entries:
            written.add(f"text {number}")
        _take_step(world, what, entry, path, f"text {number}")
        for file in world.files.values():
            left = world.copies[file.path].values()
            held = [copy for copy in left if copy.held or reconcile.equal(copy.content, file.content)]
            assert file.content is None or held, f"nobody holds {file} after step {number}"
            assert {copy.entry for copy in left} | {file.origin, *file.owners} <= set(world.entries)
    world.come_to_rest()
    for file in world.files.values():
        if file.content is not None:
            assert file.owners
            assert {world.disks[owner].get(file.path) for owner in file.owners} == {file.content.hash}
    assert written <= {text for disk in world.disks.values() for text in disk.values()} | world.kept
    before = dict(world.revisions)
    world.come_to_rest()
    assert world.revisions == before, "idle means idle"


def _take_step(world: World, what: str, entry: Any, path: str, text: str) -> None:
    if what == "give":
        world.give_to(entry)
    elif entry not in world.entries:
        return
    elif what in ("write", "copy", "delete"):
        world.change(entry, path, {"write": text, "copy": "the same everywhere"}.get(what))
    elif what in ("wave", "calm"):
        world.wave = what == "wave"
    elif what in ("confirm", "refuse"):
        world.say(entry, really=what == "confirm")
    else:
        getattr(world, what)(entry)


ONE, TWO = content("one"), content("two")


def test_a_deletion_that_is_undone_takes_what_is_left() -> None:
    """A changed the file, and lost it before B had got it."""
    file, held = File("f", 5, TWO, ("A", "B"), "A", ("one",)), Copy("A", 5, None, "", held=True)
    change = reconcile.refuse(file, {"A": held, "B": Copy("B", 1, ONE, "b")}, "A")
    assert change.file is not None
    assert (change.file.content, change.file.origin) == (ONE, "B")
    assert steps.operation(change.file, {**change.copies}, "A") == Put("f", 6, ONE, "", "", (("B", "f"),))
    assert reconcile.refuse(file, {"A": held}, "A").file is None, "nobody has it"


def test_what_arrives_after_a_file_was_forgotten_goes_again_wherever_it_arrives() -> None:
    """A's file was there for a moment, and was on its way to both others."""
    [first, second] = [Seen("f", ONE, revision) for revision in "bc"]
    one = reconcile.settle(None, {}, "B", first, 5)
    assert one.file is not None
    both = reconcile.settle(one.file, one.copies, "C", second, 5)
    assert both.file is not None
    copies = {**one.copies, **both.copies}
    found = [steps.operation(both.file, copies, entry) for entry in ENTRIES]
    assert found == [None, Delete("f", 6, "b"), Delete("f", 6, "c")]


def test_a_clock_that_was_set_back_makes_nothing_up_to_date() -> None:
    """The file was forgotten, and another has come to the very number of the first, whose content still arrives."""
    file = File("f", 5, TWO, ("A", "B"), "A")
    change = reconcile.settle(file, {"A": Copy("A", 5, TWO, "a")}, "B", Seen("f", ONE, "b"), 5)
    assert change == Change(file, {"B": Copy("B", 0, ONE, "b")})


def test_what_a_removed_entry_alone_held_is_the_newest_that_is_left() -> None:
    file = File("f", 5, TWO, ("A", "B", "C"), "A", ("one",))
    copies = {"A": Copy("A", 5, TWO, "a"), "B": Copy("B", 3, ONE, "b"), "C": Copy("C", 1, content("nil"), "c")}
    change = reconcile.disown(file, copies, "A")
    assert change.file == File("f", 6, ONE, ("B", "C"), "B", ("one",))
    assert change.copies == {"B": Copy("B", 6, ONE, "b")}
    assert reconcile.disown(file, {"A": copies["A"]}, "A").file is None
    # B had it under way all the same: then it is the newest.
    later = reconcile.settle(change.file, {**change.copies, "C": copies["C"]}, "B", Seen("f", TWO, "b2"), 5)
    assert later.file == File("f", 7, TWO, ("B", "C"), "B", ("one",))
    assert later.copies == {"B": Copy("B", 7, TWO, "b2")}


def test_nobody_is_made_the_owner_of_a_deleted_file() -> None:
    """C is no owner any more and keeps what it holds: as the only one left it is not told to delete that."""
    gone, kept = File("f", 5, None, ("A",), "A", ("one",)), Copy("C", 1, ONE, "c")
    change = reconcile.disown(gone, {"A": Copy("A", 5), "C": kept}, "A")
    assert change.file is not None
    assert change.file.owners == ()
    assert not reconcile.behind(change.file, kept, "C")
    there = reconcile.disown(gone._replace(content=ONE), {"A": Copy("A", 5, ONE, "a"), "C": kept}, "A")
    assert there.file == File("f", 5, ONE, ("C",), "C", ("one",))
    assert there.copies == {"C": Copy("C", 5, ONE, "c")}, "and it has not to get what it holds"


def test_what_an_ex_owner_alone_held_may_vanish() -> None:
    file = File("f", 5, TWO, ("B",), "A", ("one",))
    copies = {"A": Copy("A", 5, TWO, "a"), "B": Copy("B", 1, ONE, "b")}
    change = reconcile.seen(file, copies, "A", Seen("f", None, ""), ("B",), 9, STAMP)
    assert change.file == File("f", 6, ONE, ("B",), "B", ("one",))


def test_a_deleted_file_is_new_to_whom_it_was_never_given() -> None:
    """C comes with a disk on which it lies; it was deleted among A and B, and X, which is no owner, has it still."""
    gone = File("f", 5, None, ("A", "B"), "A", ("one",))
    copies = {"A": Copy("A", 5), "B": Copy("B", 5), "X": Copy("X", 1, ONE, "x")}
    late = reconcile.seen(gone, {**copies, "B": Copy("B", 1)}, "B", Seen("f", ONE, "b"), ENTRIES, 9, STAMP)
    assert late == Change(gone, {"B": Copy("B", 0, ONE, "b")}), "B was told to delete it"
    new = reconcile.seen(gone, copies, "C", Seen("f", ONE, "c"), ENTRIES, 9, STAMP)
    assert new.file == File("f", 9, ONE, ENTRIES, "C", ("one",))
    copies["A"] = Copy("A", 5, TWO, "a")
    old = reconcile.seen(gone._replace(content=TWO), copies, "C", Seen("f", ONE, "c"), ("A", "B"), 9, STAMP)
    assert old == Change(gone._replace(content=TWO), {"C": Copy("C", 0, ONE, "c")}), "what is there is not replaced"


def test_what_an_ex_owner_holds_is_there_again_when_it_is_given_the_file_again() -> None:
    gone, kept = File("f", 5, None, ("A",), "A", ("one",)), Copy("X", 1, ONE, "x")
    change = reconcile.reassign(gone, {"A": Copy("A", 5), "X": kept}, ("A", "X"))
    assert change == Change(File("f", 6, ONE, ("A", "X"), "X", ("one",)), {"X": Copy("X", 6, ONE, "x")})
    assert reconcile.reassign(gone, {"X": kept}, ("A", "B")) == Change(gone, {})
    late = reconcile.reassign(gone._replace(owners=("A", "X")), {"X": kept}, ("A", "X"))
    assert late.file is not None and late.file.content is None, "who has only not deleted it yet deletes it"


def test_a_deletion_that_an_ex_owner_confirms_is_its_own() -> None:
    file, held = File("f", 5, ONE, ("B",), "A"), Copy("A", 5, None, "", held=True)
    copies = {"A": held, "B": Copy("B", 5, ONE, "b")}
    assert reconcile.confirm(file, copies, "A", 9) == Change(file, {"A": Copy("A", 0)})


def test_a_move_is_found_by_content() -> None:
    gone, here = Delete("old", 2, "r"), Put("new", 2, content("x"), "", "", (("A", "new"),))
    assert steps.with_moves([here, gone], {"old": content("x")}) == [Move("new", 2, content("x"), "old", 2, "r")]
    assert steps.with_moves([here, gone], {"old": content("y")}) == [gone, here]


def test_who_comes_with_what_was_there_before_is_late() -> None:
    """Its worker was killed after it had put the second text there, and before it had said so; A went on."""
    [one, two, three] = [content(text) for text in ("one", "two", "three")]
    file = File("f", 3, three, ENTRIES, "A", ("two", "one"))
    copies = {"A": Copy("A", 3, three, "a3"), "B": Copy("B", 1, one, "b1")}
    change = reconcile.seen(file, copies, "B", Seen("f", two, "b2"), ENTRIES, 9, STAMP)
    assert change == Change(file, {"B": Copy("B", 0, two, "b2")})
    assert steps.operation(file, {**copies, **change.copies}, "B") == Put("f", 3, three, "b2", "", (("A", "f"),))
    back = reconcile.seen(file, copies, "A", Seen("f", two, "a4"), ENTRIES, 9, STAMP)
    assert back.file == File("f", 9, two, ENTRIES, "A", ("three", "two", "one")), "who knew of the last meant it"


@pytest.mark.parametrize("owners", [("A",), ("A", "B")])
@pytest.mark.parametrize("now_there", [content("three"), None])
@pytest.mark.parametrize("wanted", ["one", "nil"])
def test_what_is_restored_is_meant_wherever_it_is(owners: tuple[str, ...], now_there: Any, wanted: str) -> None:
    """B is behind, or no owner any more: what it keeps of before, or has still, is the newest when it is asked for."""
    file = File("f", 3, now_there, owners, "A", ("two", "one", "nil"))
    copies = {"A": Copy("A", 3, now_there, "a3"), "B": Copy("B", 1, ONE, "b1")}
    asked = Seen("f", content(wanted), "b2")
    change = reconcile.restored(file, copies, "B", asked, owners, 9)
    assert change.file is not None
    assert (change.file.content, change.file.version, change.conflict) == (content(wanted), 9, None)
    assert set(change.file.owners) == {"A", "B"}
    put = steps.operation(change.file, {**copies, **change.copies}, "A")
    assert put == Put("f", 9, content(wanted), "" if now_there is None else "a3", "", (("B", "f"),))


def test_a_file_makes_way_for_a_folder_under_another_name() -> None:
    file = File("d", 3, content("x"), ENTRIES, "A")
    copies = {"A": Copy("A", 3, content("x"), "a"), "B": Copy("B", 1, content("old"), "b")}
    change = reconcile.make_way(file, copies, 9, STAMP)
    assert change.file is not None
    assert change.conflict is not None
    known = {**copies, **change.copies}
    kept_as = conflict_name("d", "A", STAMP)
    assert steps.operation(change.file, known, "A") == Delete("d", 9, "a", kept_as)
    assert steps.operation(change.file, known, "B") == Delete("d", 9, "b", "")
    assert change.conflict.kept_as == kept_as


@given(st.binary(min_size=1, max_size=40))
def test_every_name_has_one_text(name: bytes) -> None:
    assert raw(shown(name)) == name
    shown(name).encode()


@given(st.text(min_size=1, max_size=300), st.text(max_size=100))
@example("a.txt", "\U00020000" * 60)
@example("é" * 127 + "a", "é" * 59 + "a")
def test_a_conflict_has_a_name_that_fits(name: str, entry: str) -> None:
    kept = conflict_name(shown(name.replace("/", "_").encode(errors="replace")), entry, STAMP)
    assert len(raw(kept)) <= 255
    assert ".conflict-" in kept
    raw(kept).decode()


@given(
    st.lists(st.text("aé\ud800/", min_size=1, max_size=90), min_size=20, max_size=40), st.text(min_size=1, max_size=60)
)
@example(["a" * 250] * 8, "b" * 36 + ".txt")
@example(["a" * 250] * 8 + ["c" * 33], "b.x")
def test_a_conflict_of_a_long_path_has_a_path_that_fits(folders: list[str], entry: str) -> None:
    """Beside it, or above where its folder leaves no room."""
    names = [name.replace("/", "_").encode(errors="surrogatepass") for name in folders]
    while is_too_long(path := b"/".join(names)):
        names.pop()
    kept = conflict_name(shown(path), entry, STAMP)
    assert complaint(kept) is None
    above = kept.rpartition("/")[0]
    assert not above or shown(path).startswith(above + "/")
    if len(shown(path).encode()) < 1_900:
        assert above == shown(path).rpartition("/")[0]


@pytest.mark.parametrize(
    "wrong", ["", "/a", "a//b", "a/", "a/../b", ".", "a\x00", "\ud800", ".undercroft/x", "é" * 200]
)
def test_what_is_no_filename(wrong: str) -> None:
    assert complaint(wrong) is not None


def test_ids_are_those_of_the_document() -> None:
    assert fid_of("toto") == "91473751-8e49-5240-b03c-96547fcd86dc"
    assert fid_of("photos/foo.jpg") == "0fe87082-01a2-5468-83f6-6171eb061fe4"
