"""Nothing outside of a folder of this machine is read or written, whatever is made of what lies in it."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Bytes, Kind, contents, revision, wanted, write
from undercroft.families.sync.reconcile import Delete, Move
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import InTheWay


@pytest.fixture(params=[True, False], ids=["openat2", "step by step"])
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    """On a kernel that knows openat2, and on one that does not."""
    if not request.param:
        monkeypatch.setattr(kernel, "open_beneath", _unknown)
    one = kinds.local(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("swapped", ["d", "d/e", "d/e/f"])
def test_a_folder_swapped_for_a_link_is_followed_by_nobody(kind: Kind, tmp_path: Path, swapped: str) -> None:
    """Wherever it is on the way, with those below it open."""
    storage, root = kind.open(), tmp_path / "root"
    storage.check(0)
    old = write(storage, "d/e/f/file", b"one").revision
    other = write(storage, "d/e/f/other", b"two").revision
    here = write(storage, "here", b"three").revision
    token = storage.receive(put := wanted("d/e/f/new", b"new"), Bytes(b"new"), lambda _: None)
    (root / swapped).rename(tmp_path / "outside")
    (root / swapped).symlink_to(tmp_path / "outside")
    before = _tree(tmp_path / "outside")

    assert storage.look("d/e/f/file") is None
    assert contents(storage) == {"here": b"three"}
    with pytest.raises(InTheWay):
        storage.put_in_place(put, token)
    with pytest.raises(InTheWay):
        write(storage, "d/e/f/file", b"changed", old)
    with pytest.raises(InTheWay):
        storage.move(Move("d/e/f/here", 1, wanted("", b"three").content, "here", 1, here))
    for refused in (
        lambda: storage.read("d/e/f/file"),
        lambda: storage.delete(Delete("d/e/f/other", 1, other)),
        lambda: storage.move(Move("there", 1, wanted("", b"two").content, "d/e/f/other", 1, other)),
    ):
        with pytest.raises(NotADirectoryError):
            refused()
    assert _tree(tmp_path / "outside") == before

    (root / swapped).unlink()
    (tmp_path / "outside").rename(root / swapped)
    write(storage, "d/e/f/file", b"changed", revision(storage, "d/e/f/file"))
    assert contents(storage)["d/e/f/file"] == b"changed"


def test_a_file_takes_the_place_of_empty_folders_deep_below(kind: Kind, tmp_path: Path) -> None:
    storage = kind.open()
    storage.check(0)
    (tmp_path / "root/a/b/c/empty").mkdir(parents=True)
    write(storage, "a/b/beside", b"")
    write(storage, "a/b/c", b"a file")
    assert contents(storage) == {"a/b/beside": b"", "a/b/c": b"a file"}


def test_deeper_than_folders_are_kept_open(kind: Kind) -> None:
    storage = kind.open()
    storage.check(0)
    deep = "/".join("d" for _ in range(100)) + "/file"
    old = write(storage, deep, b"one").revision
    write(storage, deep, b"two", old)
    assert contents(storage) == {deep: b"two"}


def _unknown(*_: object) -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
