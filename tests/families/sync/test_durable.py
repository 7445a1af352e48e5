"""What is settled is on the disk: content before it has its name, names before anybody is told."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.families.sync.parts import write
from undercroft.families.sync.operations import Delete, Operation, Put
from undercroft.families.sync.storages import Storage, kernel, open_storage
from undercroft.families.sync.wire import Done
from undercroft.families.sync.worker.carrying import Carrier, Pace
from undercroft.families.sync.worker.index import Index


class Two:
    """A source with files, and an entry that gets them. `happened`: what was synced and named there, in order."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.index = Index()
        self.happened: list[str] = []
        self._storages = {name: self._open(name) for name in ("source", "target")}
        self._carrier = Carrier("target", self._storages.__getitem__, self.index, Pace(0, lambda *_: None))
        self._watch(monkeypatch)

    def _open(self, name: str) -> Storage:
        root = self.folder / name
        root.mkdir()
        storage = open_storage(("local_storage", {"root": str(root)}))
        storage.check(0)
        return storage

    def _watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fsync, sync, rename = os.fsync, kernel.sync, kernel.rename

        def sync_one(descriptor: int) -> None:
            self.happened.append("sync " + self._where(descriptor))
            fsync(descriptor)

        def sync_all(descriptor: int) -> None:
            self.happened.append("sync all")
            sync(descriptor)

        def name(from_folder: int, old: bytes, folder: int, new: bytes, flags: int) -> None:
            rename(from_folder, old, folder, new, flags)
            self.happened.append(f"name {self._where(folder)}/{os.fsdecode(new)}")

        monkeypatch.setattr(os, "fsync", sync_one)
        monkeypatch.setattr(kernel, "sync", sync_all)
        monkeypatch.setattr(kernel, "rename", name)

    def _where(self, descriptor: int) -> str:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        inside = str(path.relative_to(self.folder / "target"))
        return "incoming" if inside.startswith(".undercroft/incoming/") else inside

    def puts(self, *paths: str) -> list[Operation]:
        write(self.folder / "source", {path.encode(): path.encode() for path in paths})
        seen = [self._storages["source"].read(path) for path in paths]
        return [Put(one.path, 1, one.content, "", "", (("source", one.path),)) for one in seen if one and one.content]

    def deletes(self, *paths: str) -> list[Operation]:
        write(self.folder / "target", {path.encode(): path.encode() for path in paths})
        seen = [self._storages["target"].read(path) for path in paths]
        for one in seen:
            assert one is not None
            self.index.note(one)
        return [Delete(one.path, 2, one.revision, "") for one in seen if one]

    def carry_out(self, operations: list[Operation]) -> Done:
        self.happened.clear()
        return self._carrier.carry_out(operations)

    def close(self) -> None:
        for storage in self._storages.values():
            storage.close()


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    pair = Two(tmp_path, monkeypatch)
    yield pair
    pair.close()


def test_content_is_durable_before_it_has_its_name_and_the_name_before_it_is_told(two: Two) -> None:
    assert len(two.carry_out(two.puts("d/f")).settled) == 1
    assert two.happened == ["sync incoming", "name d/f", "sync d"]


def test_of_many_all_is_synced_at_once_before_the_first_name_and_after_the_last(two: Two) -> None:
    paths = [f"{n}/f" for n in range(6)]
    assert len(two.carry_out(two.puts(*paths)).settled) == 6
    assert two.happened == ["sync all", *(f"name {path}" for path in paths), "sync all"]


@pytest.mark.parametrize(("path", "folder"), [("f", "."), ("d/f", "."), ("d/e/f", "."), ("kept/d/f", "kept")])
def test_that_the_last_file_of_a_folder_is_gone_is_durable(two: Two, path: str, folder: str) -> None:
    """Its folder is gone with it."""
    write(two.folder / "target", {b"kept/other": b"1"})
    assert len(two.carry_out(two.deletes(path)).settled) == 1
    assert two.happened[-1] == f"sync {folder}"


@pytest.mark.parametrize("many", [False, True])
def test_what_a_disk_can_t_write_down_is_not_settled(two: Two, monkeypatch: pytest.MonkeyPatch, many: bool) -> None:
    operations = two.deletes(*(f"{n}/f" for n in range(6 if many else 1)))

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(kernel, "sync", broken)
    monkeypatch.setattr(os, "fsync", broken)
    done = two.carry_out(operations)
    assert not done.settled
    assert {failed.path for failed in done.failed} == {operation.path for operation in operations}
    assert {failed.reason for failed in done.failed} == {"Input/output error"}
    assert all(two.index.revision(operation.path) == "" for operation in operations), "it is looked at again"
