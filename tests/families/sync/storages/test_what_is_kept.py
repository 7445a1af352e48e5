"""What is replaced is kept, whatever breaks in that very moment."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import contents, write
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.operations import Delete, Put
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.local_storage import LocalStorage


class Killed(BaseException):
    """In place of a kill: nothing that comes after runs."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(kinds.local(tmp_path).options["root"])


@pytest.fixture
def storage(root: Path) -> Iterator[LocalStorage]:
    storage = LocalStorage(str(root))
    storage.check(0)
    yield storage
    storage.close()


@pytest.mark.parametrize("keep_as", ["", "f.conflict"])
def test_a_kill_in_the_step_that_replaces_leaves_the_old_content_kept(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, keep_as: str
) -> None:
    base = write(storage, "f", b"old").revision
    really = kernel.rename

    def killed_after_the_exchange(*arguments: Any) -> None:
        really(*arguments)
        if arguments[-1] == kernel.EXCHANGE:
            raise Killed

    monkeypatch.setattr(kernel, "rename", killed_after_the_exchange)
    with pytest.raises(Killed):
        write(storage, "f", b"new", base, keep_as)
    assert (root / "f").read_bytes() == b"new"
    assert _contents(root, "versions") == [b"old"]
    assert _contents(root, "incoming") == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.ENAMETOOLONG, errno.EEXIST])
def test_who_loses_a_conflict_and_can_not_be_kept_beside_is_a_version(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """No room for one more name, a shorter limit of names, a thousand conflicts under one name."""
    bases = [write(storage, name, b"lost").revision for name in "fg"]
    really = kernel.rename

    def rename(from_folder: int, source: bytes, folder: int, name: bytes, flags: int) -> None:
        if b"conflict" in name:
            (root / "f.conflict").mkdir(exist_ok=True)
            raise OSError(error, os.strerror(error))
        really(from_folder, source, folder, name, flags)

    monkeypatch.setattr(kernel, "rename", rename)
    replaced = [
        write(storage, "f", b"won", bases[0], "f.conflict").replaced,
        storage.delete(Delete("g", 1, bases[1], "f.conflict")),
    ]
    for one in replaced:
        assert one is not None
        assert one.kept_as == ""
        assert (root / OWN_FOLDER / "versions" / one.place).read_bytes() == b"lost"
    assert contents(storage) == {"f": b"won"}


def test_what_could_not_replace_leaves_nothing_behind(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write(storage, "f", b"old").revision
    really = kernel.rename

    def vanished_before_the_exchange(*arguments: Any) -> None:
        if arguments[-1] == kernel.EXCHANGE:
            (root / "f").unlink()
        really(*arguments)

    with monkeypatch.context() as broken, pytest.raises(FileNotFoundError):
        broken.setattr(kernel, "rename", vanished_before_the_exchange)
        write(storage, "f", b"new", base)
    assert _contents(root, "versions") == []
    assert _contents(root, "incoming") == []
    write(storage, "f", b"new")
    assert contents(storage) == {"f": b"new"}


def test_what_has_lost_some_of_its_length_gets_no_name(root: Path, storage: LocalStorage) -> None:
    base = write(storage, "f", b"old").revision
    put = kinds.wanted("f", b"new content", base)
    token = storage.receive(put, kinds.Bytes(b"new content"), lambda _: None)
    (root / OWN_FOLDER / "incoming" / token.decode()).write_bytes(b"new")
    with pytest.raises(OSError, match="length"):
        storage.put_in_place(put, token)
    assert contents(storage) == {"f": b"old"}
    write(storage, "f", b"new content", base)
    assert contents(storage) == {"f": b"new content"}


def test_a_time_beyond_what_a_database_holds_is_the_last_that_it_does(root: Path, storage: LocalStorage) -> None:
    """In nanoseconds that is 2262; some file systems go on to 2446."""
    base = write(storage, "f", b"old").revision
    os.utime(root / "f", (2**40, 2**40))
    seen = storage.read("f")
    assert seen is not None and seen.content is not None
    assert seen.content.mtime < 2**63
    again = storage.receive(_put(seen), kinds.Bytes(b"old"), lambda _: None)
    placed = storage.put_in_place(_put(seen), again)
    assert placed.replaced is not None and placed.replaced.mtime < 2**63
    assert base != placed.revision


def _put(seen: Seen) -> Put:
    assert seen.content is not None
    return Put(seen.path, 2, seen.content, seen.revision, "", ())


def _contents(root: Path, folder: str) -> list[bytes]:
    return [path.read_bytes() for path in (root / OWN_FOLDER / folder).iterdir()]
