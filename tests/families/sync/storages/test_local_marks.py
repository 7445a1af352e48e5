"""A folder that has taken the root's place is told from it by its mark."""

import os
import shutil
from pathlib import Path

import pytest

from tests.families.sync.storages.kinds import write
from undercroft.families.sync.storages import Other, Owner, open_storage
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.worker.index import Index


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def check(root: Path, mark: str, expected: int = 0, *known: tuple[str, str], theirs: Path | None = None) -> None:
    """As the entry of this mark; there is another whose mark is `b 2`, and its root `theirs`."""
    others = {"b 2": Other("b", str(theirs or ""))}
    storage = open_storage(("local_storage", {"root": str(root)}), None, Owner(mark, others, list(known)))
    try:
        storage.check(expected)
    finally:
        storage.close()


def mark_of(root: Path) -> str:
    return (root / ".undercroft/root").read_text().splitlines()[-1]


def test_a_root_is_marked_and_known_by_that(root: Path) -> None:
    check(root, "a 1")
    assert mark_of(root) == "entry a 1"
    check(root, "a 1", 10)
    assert [path.name for path in (root / ".undercroft").iterdir() if path.name.startswith("root")] == ["root"]


def test_another_entrys_root_stops_it_also_where_it_holds_nothing_yet(root: Path) -> None:
    check(root, "b 2")
    for expected in (0, 10):
        with pytest.raises(Vanished, match="the root of the entry b"):
            check(root, "a 1", expected)
    assert mark_of(root) == "entry b 2"


def test_a_copy_of_anothers_root_is_taken_over_by_a_new_entry(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    check(root, "b 2")
    shutil.copytree(root, copied)
    with pytest.raises(Vanished, match=r"or a copy of it.*make an empty file .undercroft/root"):
        check(copied, "a 1", 10, theirs=root)
    check(copied, "a 1", theirs=root)
    assert (mark_of(copied), mark_of(root)) == ("entry a 1", "entry b 2")
    assert [path.name for path in (root / ".undercroft").iterdir() if path.name.startswith("probe")] == []


def test_anothers_root_is_no_copy_of_itself_nor_where_its_own_is_not_there(root: Path, tmp_path: Path) -> None:
    """A link on the way stands for another mount of it; the disk of the other may be mounted here by now."""
    check(root, "b 2")
    (tmp_path / "way").symlink_to(tmp_path)
    bare = tmp_path / "bare"
    (bare / ".undercroft").mkdir(parents=True)
    for theirs in (tmp_path / "way/root", bare, tmp_path / "nothing"):
        with pytest.raises(Vanished, match="the root of the entry b"):
            check(root, "a 1", theirs=theirs)
    assert mark_of(root) == "entry b 2"


def test_the_root_of_one_that_is_no_more_is_taken_over_by_a_new_one(root: Path) -> None:
    check(root, "gone 0")
    with pytest.raises(Vanished, match="not the folder that it was"):
        check(root, "a 1", 10)
    check(root, "a 1")
    assert mark_of(root) == "entry a 1"


def test_a_bare_folder_of_ours_is_no_root(root: Path) -> None:
    (root / ".undercroft").mkdir()
    with pytest.raises(Vanished, match="not the folder that it was"):
        check(root, "a 1", 10, ("f", "1"))
    (root / ".undercroft/root").touch()
    check(root, "a 1", 10)
    assert mark_of(root) == "entry a 1"


def test_a_root_of_days_before_marks_gets_one_where_a_file_is_as_it_was(root: Path) -> None:
    storage = open_storage(("local_storage", {"root": str(root)}))
    known = ("d/f", write(storage, "d/f", b"content").revision)
    storage.close()
    with pytest.raises(Vanished):
        check(root, "a 1", 2, ("d/f", "another"), ("g", ""))
    check(root, "a 1", 2, ("g", "1"), known)
    assert mark_of(root) == "entry a 1"


@pytest.mark.parametrize("what", ["link", "folder", "fifo"])
def test_a_mark_that_is_no_file_stops_it(root: Path, what: str) -> None:
    (root / ".undercroft").mkdir()
    mark = root / ".undercroft/root"
    if what == "link":
        mark.symlink_to("/dev/zero")
    elif what == "folder":
        mark.mkdir()
    else:
        os.mkfifo(mark)
    with pytest.raises(Vanished, match="can't be used"):
        check(root, "a 1")


def test_words_of_a_mark_of_earlier_days_are_none(root: Path) -> None:
    """As a server elsewhere has it: of the same folder, reached otherwise."""
    (root / ".undercroft").mkdir()
    (root / ".undercroft/root").write_bytes(b"Undercroft keeps files in sync here. \xff\n" * 1_000)
    with pytest.raises(Vanished, match="not the folder that it was"):
        check(root, "a 1", 10)
    check(root, "a 1")
    assert mark_of(root) == "entry a 1"


def test_a_few_of_an_index_are_from_everywhere() -> None:
    index = Index()
    assert index.some(3) == []
    index.take([(str(number), f"r{number}", "", 1) for number in range(10)])
    assert index.some(3) == [("0", "r0"), ("4", "r4"), ("8", "r8")]
    assert len(index.some(100)) == 10
