"""A root within another's, whatever names they are given by: the outer one leaves it alone as a whole, by its mark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.families.sync.storages.kinds import Kind, Unread, contents, read, revision, unpaced, wanted, write
from undercroft.families.sync.operations import Delete, Move
from undercroft.families.sync.storages import Owner, Storage
from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.errors import LeftAlone
from undercroft.families.sync.storages.others_roots import MARK, REASON, OthersRoots, others_roots
from undercroft.families.sync.storages.s3_order import without_others_roots

WITHIN = ("sub/known", "sub/-first", "sub/.hidden/x", "sub/deep/er")
BESIDE = ("subway", "sub!", "top/f")


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    others_roots.cache_clear()


def begin_below(kind: Kind, folder: str = "sub") -> Storage:
    """Another entry's."""
    inner = kind.open(Owner("inner 1", {}, []), root=f"{kind.options['root']}/{folder}")
    inner.check(0)
    return inner


def test_a_root_below_is_left_alone_as_a_whole_until_its_mark_is_gone(kind: Kind, storage: Storage) -> None:
    for name in (*WITHIN, *BESIDE):
        write(storage, name, name.encode())
    assert set(contents(storage)) == {*WITHIN, *BESIDE}
    assert storage.skipped == {}

    inner = begin_below(kind)
    write(inner, "theirs", b"theirs")
    assert set(contents(storage)) == {*BESIDE}
    assert storage.skipped == {"sub": REASON}
    assert [storage.is_left_alone(name) for name in ("sub", *WITHIN, *BESIDE)] == [True] * 5 + [False] * 3
    assert set(contents(inner)) == {"known", "-first", ".hidden/x", "deep/er", "theirs"}
    if storage.polled is None:
        assert list(storage.walk(b"sub/deep", lambda *_: None)) == []

    kind.remove("sub/.undercroft")
    storage.skipped.clear()
    assert set(contents(storage)) == {*WITHIN, *BESIDE, "sub/theirs"}
    assert storage.skipped == {}
    assert storage.look("sub/known")


@pytest.mark.parametrize("has_walked", [True, False])
def test_nothing_in_it_is_changed(kind: Kind, storage: Storage, has_walked: bool) -> None:
    """Neither by another lane, nor before all was walked: what was refused for long is tried when an entry begins."""
    for name in WITHIN:
        write(storage, name, b"1")
    write(storage, "top", b"1")
    known, top = revision(storage, "sub/known"), revision(storage, "top")
    inner = begin_below(kind)
    theirs = contents(inner)
    others_roots.cache_clear()
    lane = kind.open()
    lane.check(0)
    if has_walked:
        contents(kind.open())
    with pytest.raises(LeftAlone, match="another entry's root"):
        write(lane, "sub/known", b"2", known)
    for name in ("sub", "sub/new", "sub/new/er"):
        with pytest.raises(LeftAlone):
            write(lane, name, b"2")
    with pytest.raises(LeftAlone):
        lane.delete(Delete("sub/known", 1, known))
    content = wanted("x", b"1").content
    for source, base, name in (("sub/known", known, "out"), ("top", top, "sub/in")):
        with pytest.raises(LeftAlone):
            lane.move(Move(name, 1, content, source, 1, base))
    kept = lane.delete(Delete("top", 1, top)).place
    with pytest.raises(LeftAlone):
        lane.restore("sub/known", kept, unpaced)
    if has_walked:
        for name in (*WITHIN, "sub/new"):
            with pytest.raises(LeftAlone):
                lane.look(name)
            with pytest.raises(LeftAlone):
                lane.read(name)
    assert contents(inner) == theirs


def test_what_is_in_a_folder_of_the_servers_is_no_content_at_whatever_depth(kind: Kind, storage: Storage) -> None:
    """Also without a mark in it; nor does it come."""
    write(storage, "d/f", b"1")
    inner = begin_below(kind, "d")
    inner.delete(Delete("old", 1, write(inner, "old", b"1").revision))
    kind.remove(f"d/{MARK}")
    assert contents(storage) == {"d/f": b"1"}
    assert storage.skipped == {}
    for name in ("d/.undercroft/root", ".undercroft/root", "d/.undercroft", "d/.undercroft/versions/x", ".undercroft"):
        assert storage.is_left_alone(name)
        with pytest.raises(LeftAlone, match="is the server's"):
            write(storage, name, b"content")
        with pytest.raises(LeftAlone, match="is the server's"):
            storage.delete(Delete(name, 1, "x"))
        with pytest.raises(LeftAlone, match="is the server's"):
            storage.move(Move(name, 1, wanted("x", b"1").content, "d/f", 1, revision(storage, "d/f")))
    assert read(storage, "d/f") == b"1"
    write(storage, "d/.undercroftless", b"1")
    assert set(contents(storage)) == {"d/f", "d/.undercroftless"}


def test_what_is_refused_is_not_gathered(storage: Storage) -> None:
    for name in ("sub/.undercroft/x", ".undercroft/x"):
        with pytest.raises(LeftAlone):
            storage.receive(wanted(name, b"content"), Unread(b""), lambda _: None)


def test_a_root_within_anothers_root_within_this(kind: Kind, storage: Storage) -> None:
    write(storage, "a/-b/c/f", b"1")
    begin_below(kind, "a/-b/c")
    assert contents(storage) == {}
    assert storage.skipped == {"a/-b/c": REASON}
    begin_below(kind, "a")
    storage.skipped.clear()
    assert contents(storage) == {}
    assert storage.skipped == {"a": REASON}


def test_marks_are_asked_for_until_all_was_walked_once_each() -> None:
    asked: list[str] = []

    def is_marked(folder: str) -> bool:
        asked.append(folder)
        return False

    roots = OthersRoots()
    for path in ("a/b/c", "a/b/d", "a/e"):
        roots.require_apart(path, is_marked)
    assert asked == ["a", "a/b"]
    roots.note_all({"x"})
    roots.require_apart("other/f", is_marked)
    assert asked == ["a", "a/b"]
    for path in ("x", "x/y"):
        with pytest.raises(LeftAlone):
            roots.require_apart(path, lambda _: False)


# Few, so that they meet; some come before a mark, and some after it.
FOLDERS = st.lists(st.sampled_from(("a", "-", ".h", "a.")), max_size=3)
LASTS = st.sampled_from(("a", "-", ".h", "b", MARK, MARK, ".undercroft/x"))
NAMES = st.builds(lambda above, last: "/".join([*above, last]), FOLDERS, LASTS)


@given(st.sets(NAMES, max_size=30))
def test_what_is_listed_in_order_is_left_out_whatever_comes_before_its_mark(names: set[str]) -> None:
    listed = sorted(name for name in names if not name.startswith(".undercroft/"))
    marked = [name.removesuffix(f"/{MARK}") for name in listed if name.endswith(f"/{MARK}")]
    outermost = {one for one in marked if not any(one.startswith(f"{other}/") for other in marked)}
    expected = {name for name in listed if not any(name.startswith(f"{one}/") for one in outermost)}
    told = list(without_others_roots(Stat(name, 1, "r", 0) for name in listed))
    assert {stat.name for stat in told if stat.unfit} == outermost
    assert {stat.name for stat in told if not stat.unfit} == expected
    assert len(told) == len(outermost) + len(expected)
