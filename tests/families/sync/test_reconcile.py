"""What each entry has, had and should have → what to do: whatever happens, in whatever order things are heard of."""

from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from undercroft.families.sync import reconcile
from undercroft.families.sync.model import Match, Rule, holders, matches
from undercroft.families.sync.names import complaint, conflict_name, fid_of, raw, shown
from undercroft.families.sync.reconcile import Change, Content, Copy, Delete, File, Move, Put, Seen

ENTRIES = ("A", "B", "C")
STAMP = "20260102T030405678"


def content(text: str) -> Content:
    return Content(text, len(text), 0, 0o644)


class Heard(NamedTuple):
    """On its way to the server: what an entry's worker saw. `version`: of the operation that it carried out."""

    seen: Seen
    version: int | None


class World:
    """Disks, what was reported and not yet heard, and the server's index; as real as a model can be."""

    def __init__(self) -> None:
        self.disks: dict[str, dict[str, str]] = {name: {} for name in ENTRIES}
        self.told: dict[str, list[Heard]] = {name: [] for name in ENTRIES}
        self.files: dict[str, File] = {}
        self.copies: dict[str, dict[str, Copy]] = {}
        self.kept: set[str] = set()
        self.revision = 0
        self.revisions: dict[tuple[str, str], str] = {}
        self.now = 0

    def change(self, entry: str, path: str, text: str | None) -> None:
        """Somebody writes or deletes at an entry, and its worker notices."""
        if text is None and path not in self.disks[entry]:
            return
        if text is not None and path in self.disks[entry]:
            self.kept.add(self.disks[entry][path])  # who overwrites their own file meant it
        elif text is None:
            self.kept.add(self.disks[entry][path])
        self._write(entry, path, text)
        self.told[entry].append(Heard(self._seen(entry, path), None))

    def hear(self, entry: str) -> None:
        """The server hears the next thing that an entry has to say."""
        if not self.told[entry]:
            return
        seen, version = self.told[entry].pop(0)
        file, copies = self.files.get(seen.path), self.copies.get(seen.path, {})
        self.now += 1
        if version is None:
            stamp = f"{STAMP}-{self.now}"
            change = reconcile.seen(file, copies, entry, seen, ENTRIES, self.now, stamp)
        else:
            change = reconcile.settle(file, copies, entry, seen, version)
        self._take(seen.path, change)

    def act(self, entry: str) -> None:
        """An entry carries out all that it has to do, as far as its disk is what the server takes it for."""
        steps = [reconcile.operation(f, self.copies.get(p, {}), entry) for p, f in self.files.items()]
        held = {path: copies[entry].content for path, copies in self.copies.items() if entry in copies}
        known = {path: found for path, found in held.items() if found is not None}
        for step in reconcile.with_moves([step for step in steps if step is not None], known):
            if isinstance(step, Delete):
                self._delete(entry, step)
            elif isinstance(step, Move):
                self._move(entry, step)
            else:
                self._put(entry, step)

    def come_to_rest(self) -> None:
        for _ in range(60):
            for entry in ENTRIES:
                while self.told[entry]:
                    self.hear(entry)
            for entry in ENTRIES:
                self.act(entry)
            if not any(self.told.values()):
                return
        raise AssertionError("it never comes to rest")

    def _put(self, entry: str, put: Put) -> None:
        if self._revision(entry, put.path) != put.base:
            return
        if not any(self.disks[e].get(p) == put.content.hash for e, p in put.sources):
            return
        old = self.disks[entry].get(put.path)
        self._write(entry, put.path, put.content.hash)
        if old is not None and put.keep_as:
            self._write(entry, put.keep_as, old)
            self.told[entry].append(Heard(self._seen(entry, put.keep_as), None))
        elif old is not None:
            self.kept.add(old)
        self.told[entry].append(Heard(self._seen(entry, put.path), put.version))

    def _delete(self, entry: str, delete: Delete) -> None:
        if self._revision(entry, delete.path) == delete.base:
            self.kept.add(self.disks[entry][delete.path])
            if delete.keep_as:
                self._write(entry, delete.keep_as, self.disks[entry][delete.path])
                self.told[entry].append(Heard(self._seen(entry, delete.keep_as), None))
            self._write(entry, delete.path, None)
            self.told[entry].append(Heard(self._seen(entry, delete.path), delete.version))

    def _move(self, entry: str, move: Move) -> None:
        if self._revision(entry, move.source) != move.source_base or move.path in self.disks[entry]:
            return
        self._write(entry, move.path, self.disks[entry][move.source])
        self._write(entry, move.source, None)
        self.told[entry].append(Heard(self._seen(entry, move.source), move.source_version))
        self.told[entry].append(Heard(self._seen(entry, move.path), move.version))

    def _take(self, path: str, change: Change) -> None:
        if change.file is None:
            self.files.pop(path, None)
            self.copies.pop(path, None)
            return
        self.files[path] = change.file
        self.copies.setdefault(path, {}).update(change.copies)

    def _write(self, entry: str, path: str, text: str | None) -> None:
        self.revision += 1
        if text is None:
            self.disks[entry].pop(path, None)
            self.revisions.pop((entry, path), None)
        else:
            self.disks[entry][path] = text
            self.revisions[entry, path] = str(self.revision)

    def _revision(self, entry: str, path: str) -> str:
        return self.revisions.get((entry, path), "")

    def _seen(self, entry: str, path: str) -> Seen:
        text = self.disks[entry].get(path)
        return Seen(path, None if text is None else content(text), self._revision(entry, path))


STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("copy"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("delete"), st.sampled_from(ENTRIES), st.sampled_from(["f", "g"])),
    st.tuples(st.just("hear"), st.sampled_from(ENTRIES), st.just("")),
    st.tuples(st.just("act"), st.sampled_from(ENTRIES), st.just("")),
)


@given(st.lists(STEP, max_size=30))
def test_all_become_equal_and_nothing_is_lost(steps: list[tuple[str, str, str]]) -> None:
    world = World()
    written: set[str] = set()
    for number, (what, entry, path) in enumerate(steps):
        if what == "write":
            written.add(f"text {number}")
            world.change(entry, path, f"text {number}")
        elif what == "copy":
            written.add("the same everywhere")
            world.change(entry, path, "the same everywhere")
        elif what == "delete":
            world.change(entry, path, None)
        elif what == "hear":
            world.hear(entry)
        else:
            world.act(entry)
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


def test_a_move_is_found_by_content() -> None:
    gone, here = Delete("old", 2, "r"), Put("new", 2, content("x"), "", "", (("A", "new"),))
    assert reconcile.with_moves([here, gone], {"old": content("x")}) == [Move("new", 2, content("x"), "old", 2, "r")]
    assert reconcile.with_moves([here, gone], {"old": content("y")}) == [gone, here]


def test_who_comes_with_what_was_there_before_is_late() -> None:
    """Its worker was killed after it had put the second text there, and before it had said so; A went on."""
    [one, two, three] = [content(text) for text in ("one", "two", "three")]
    file = File("f", 3, three, ENTRIES, "A", ("two", "one"))
    copies = {"A": Copy("A", 3, three, "a3"), "B": Copy("B", 1, one, "b1")}
    change = reconcile.seen(file, copies, "B", Seen("f", two, "b2"), ENTRIES, 9, STAMP)
    assert change == Change(file, {"B": Copy("B", 0, two, "b2")})
    assert reconcile.operation(file, {**copies, **change.copies}, "B") == Put("f", 3, three, "b2", "", (("A", "f"),))
    back = reconcile.seen(file, copies, "A", Seen("f", two, "a4"), ENTRIES, 9, STAMP)
    assert back.file == File("f", 9, two, ENTRIES, "A", ("three", "two", "one")), "who knew of the last meant it"


def test_a_file_makes_way_for_a_folder_under_another_name() -> None:
    file = File("d", 3, content("x"), ENTRIES, "A")
    copies = {"A": Copy("A", 3, content("x"), "a"), "B": Copy("B", 1, content("old"), "b")}
    change = reconcile.make_way(file, copies, 9, STAMP)
    assert change.file is not None
    assert change.conflict is not None
    known = {**copies, **change.copies}
    kept_as = conflict_name("d", "A", STAMP)
    assert reconcile.operation(change.file, known, "A") == Delete("d", 9, "a", kept_as)
    assert reconcile.operation(change.file, known, "B") == Delete("d", 9, "b", "")
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


@pytest.mark.parametrize(
    "wrong", ["", "/a", "a//b", "a/", "a/../b", ".", "a\x00", "\ud800", ".undercroft/x", "é" * 200]
)
def test_what_is_no_filename(wrong: str) -> None:
    assert complaint(wrong) is not None


def test_ids_are_those_of_the_document() -> None:
    assert fid_of("toto") == "91473751-8e49-5240-b03c-96547fcd86dc"
    assert fid_of("photos/foo.jpg") == "0fe87082-01a2-5468-83f6-6171eb061fe4"


@pytest.mark.parametrize(
    ("match", "filename", "yes"),
    [
        (Match(), "a", True), (Match("/"), "a/b", True), (Match("/foo"), "foo/bar", True),
        (Match("/foo"), "foo", True), (Match("/foo"), "foobar", False), (Match("/foo/"), "foo/bar", True),
        (Match("/foo/"), "foo", False), (Match("/foo/"), "foobar/x", False), (Match("/"), "foo", True),
        (Match("/foo/b"), "foo/bar", False), (Match("/f.o"), "foo", False), (Match("/foo"), "x/foo", False),
        (Match(None, ("text/*",)), "a.TXT", True), (Match(None, ("application/gzip", "gzip")), "a.tar.gz", False),
        (Match(None, ("application/*",)), "unknown", False), (Match(None, ("image/*",)), "images/a.txt", False),
        (Match(None, ("image/*",)), "a.png", True), (Match(None, ("image/png",)), "a.jpg", False),
        (Match(None, ()), "a", True), (Match(None, ("application/octet-stream",)), "unknown", False),
        (Match("/x", ("text/plain",)), "x/a.txt", True), (Match("/x", ("text/plain",)), "y/a.txt", False),
    ],
)  # fmt: skip
def test_matching(match: Match, filename: str, yes: bool) -> None:
    assert matches(match, filename) is yes


def test_rules_that_match_count_together() -> None:
    rules = [Rule(Match("/"), ("A",)), Rule(Match("/x"), ("B", "A")), Rule(Match("/y"), ("C",))]
    assert holders(rules, "x/f") == ("A", "B")
