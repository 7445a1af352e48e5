"""Nothing outside of a folder of this machine is read or written, whatever is made of what lies in it."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Bytes, Kind, contents, revision, wanted, write
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.operations import Delete, Move
from undercroft.families.sync.storages import kernel, open_storage
from undercroft.families.sync.storages.errors import InTheWay, Vanished


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


@pytest.mark.parametrize("name", [OWN_FOLDER, f"{OWN_FOLDER}/incoming", f"{OWN_FOLDER}/versions"])
@pytest.mark.parametrize("made", ["a link", "a dead link", "a file"])
def test_the_servers_own_folder_is_a_folder_of_the_root(kind: Kind, tmp_path: Path, name: str, made: str) -> None:
    own, outside = tmp_path / "root" / name, tmp_path / "outside"
    own.parent.mkdir(exist_ok=True)
    if made == "a file":
        own.write_bytes(b"mine")
    else:
        own.symlink_to(outside)
    if made == "a link":
        outside.mkdir()
    with pytest.raises(Vanished) as told:
        kind.open().check(0)
    assert f"folder {own.name}. Take it away" in str(told.value)
    assert not outside.exists() or not any(outside.iterdir())

    own.unlink()
    kind.open().check(0)


def test_the_servers_own_folder_swapped_for_a_link_is_noticed(kind: Kind, tmp_path: Path) -> None:
    storage = kind.open()
    storage.check(0)
    assert storage.is_there()
    own = (tmp_path / "root" / OWN_FOLDER).rename(tmp_path / "outside")
    (tmp_path / "root" / OWN_FOLDER).symlink_to(own)
    assert not storage.is_there()


def test_a_folder_among_what_arrives_is_left_alone(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "root" / OWN_FOLDER / "incoming/somebody's").mkdir(parents=True)
    storage = kind.open()
    storage.check(0)
    storage.forget_old_arrivals(older_than=-1)


@pytest.mark.parametrize("root", ["/proc", "/sys"])
def test_a_root_that_can_hold_nothing_is_told(root: str) -> None:
    storage = open_storage(("local_storage", {"root": root}))
    with contextlib.closing(storage), pytest.raises(Vanished, match=f"the root {root} "):
        storage.check(0)


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
