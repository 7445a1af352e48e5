"""What carries out operations, over real folders: which source is asked, and what is not trusted for ever."""

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from blake3 import blake3

from undercroft.families.sync.operations import Delete, Put, Room
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages import Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged, SourceLost
from undercroft.families.sync.storages.local_source import LocalSource
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.wire import Done
from undercroft.families.sync.worker import carrying
from undercroft.families.sync.worker.carrying import Carrier, Pace
from undercroft.families.sync.worker.index import Index

LARGE = os.urandom(9 * 2**20)


class Three:
    """Entries A, B and C of this machine; the carrier is C's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in "ABC":
            (folder / name / ".undercroft").mkdir(parents=True)
        self.opened: list[str] = []
        self.moved: list[tuple[str, int, int]] = []
        pace = Pace(0, lambda *how: self.moved.append(how))
        self.carrier = Carrier("C", self.open, Index(), pace)

    def open(self, name: str) -> Storage:
        self.opened.append(name)
        return open_storage(("local_storage", {"root": str(self.folder / name)}))

    def get(self, content: bytes) -> Done:
        about = Content(blake3(content).hexdigest(), len(content), 5, 0o644)
        return self.carrier.carry_out([Put("f", 1, about, "", "", (("A", "f"), ("B", "f")))])

    def read(self) -> bytes:
        return (self.folder / "C" / "f").read_bytes()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    made = Three(tmp_path)
    yield made
    made.carrier.close()


@pytest.fixture
def broken(three: Three, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """A's disk gives so much of a file, and then an error of the kernel's own."""

    def broken(first: bytes) -> None:
        class Failing(LocalSource):
            left = first

            def read(self, size: int | None = -1) -> bytes:
                block, self.left = self.left[:size], self.left[size:]
                return block or super().read(size)

        really = LocalStorage.open_source

        def open_source(storage: LocalStorage, path: str) -> io.RawIOBase:
            if storage.root.endswith("A"):
                return Failing(os.open("/proc/self/mem", os.O_RDONLY))  # nothing is at its beginning: EIO
            return really(storage, path)

        monkeypatch.setattr(LocalStorage, "open_source", open_source)

    return broken


@pytest.mark.parametrize(
    ("content", "first"),
    [(b"small", b""), (b"small", b"sm"), (LARGE, LARGE[: 2**23 + 5]), (LARGE, b"other" * 2**21)],
    ids=["at once", "on the way", "gone on with", "another content"],
)
def test_what_one_source_cant_give_comes_from_another(
    three: Three, broken: Callable[[bytes], None], content: bytes, first: bytes
) -> None:
    broken(first[: len(content) - 1])
    (three.folder / "B" / "f").write_bytes(content)
    done = three.get(content)
    assert done.failed == []
    assert three.read() == content


def test_a_source_that_cant_be_read_is_told_where_there_is_no_other(
    three: Three, broken: Callable[[bytes], None]
) -> None:
    broken(b"")
    [failed] = three.get(b"small").failed
    assert failed.reason == "the source can't be read at this moment: Input/output error"
    assert not failed.expected


def test_what_came_before_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file that is gone on with, at so many bytes per second: time is spent for what arrives now alone."""
    waits: list[float] = []
    stopped = threading.Event()
    monkeypatch.setattr(stopped, "wait", waits.append)
    monkeypatch.setattr(carrying, "time", SimpleNamespace(monotonic=lambda: 5.0))
    pace = Pace(1_000, lambda *_: None, stopped).of("f", 10_000)
    for done in (-5_000, -9_000, 9_500, 10_000):
        pace(done)
    assert waits == [pytest.approx(0.5), pytest.approx(1.0)]


def test_what_can_t_be_made_durable_has_failed(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    (three.folder / "A" / "f").write_bytes(b"small")

    def lost(storage: LocalStorage, names: list[bytes]) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(LocalStorage, "make_durable", lost)
    done = three.get(b"small")
    assert [failed.reason for failed in done.failed] == ["Input/output error"]
    assert not done.settled
    assert not (three.folder / "C" / "f").exists()


def test_what_begins_to_arrive_while_remains_are_swept_stays(three: Three) -> None:
    incoming = three.folder / "C/.undercroft/incoming"
    incoming.mkdir()
    (incoming / "before").write_bytes(b"part")
    os.utime(incoming / "before")
    time.sleep(0.03)
    asked = time.time()
    (incoming / "meanwhile").write_bytes(b"part")
    three.carrier.forget_arrivals(asked)
    assert [path.name for path in incoming.iterdir()] == ["meanwhile"]


def test_what_room_is_left_is_told_where_something_was_kept_or_failed(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_frsize=4_096, f_blocks=10, f_bfree=9, f_bavail=3)
    monkeypatch.setattr(os, "fstatvfs", lambda _: disk)
    (three.folder / "A" / "f").write_bytes(b"1")
    came = three.get(b"1")
    assert came.settled and came.room is None
    failed = three.get(b"another")
    kept = three.carrier.carry_out([Delete("f", 2, came.settled[0].seen.revision)])
    assert failed.failed and kept.kept
    dropped = three.carrier.drop([kept.kept[0].place])
    assert [told.room for told in (failed, kept, dropped)] == [Room(3 * 4_096, 10 * 4_096)] * 3


def test_what_is_restored_is_a_file(three: Three) -> None:
    """Somebody has put something else in its place."""
    (three.folder / "C/.undercroft/versions").mkdir()
    os.mkfifo(three.folder / "C/.undercroft/versions/place")
    done, seen = three.carrier.restore("f", "place")
    assert [failed.reason for failed in done.failed] == ["it could not be restored: what was kept is a file no more"]
    assert seen is None


def test_a_restore_says_of_how_many_bytes(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "TELL_EVERY", -1)
    (three.folder / "C/.undercroft/versions").mkdir()
    (three.folder / "C/.undercroft/versions/place").write_bytes(b"kept")
    done, seen = three.carrier.restore("f", "place")
    assert done.failed == []
    assert seen is not None
    assert (seen.path, three.read()) == ("f", b"kept")
    assert three.moved == [("f", 4, 4)]


def test_a_restore_that_kept_something_or_failed_says_how_much_room_is_left(three: Three) -> None:
    versions = three.folder / "C/.undercroft/versions"
    versions.mkdir()
    (versions / "place").write_bytes(b"kept")
    done, _ = three.carrier.restore("f", "place")
    assert done.room is None, "nothing was kept"
    done, _ = three.carrier.restore("f", "place")
    assert done.kept
    assert done.room is not None
    done, seen = three.carrier.restore("f", "no place")
    assert done.failed
    assert seen is None
    assert done.room is not None


def test_a_folder_that_was_opened_before_its_disk_was_mounted_is_opened_again(three: Three) -> None:
    """The disk is another folder that takes the name."""
    [failed] = three.get(b"content").failed
    assert failed.expected
    bare, mounted = three.folder / "A", three.folder / "mounted"
    bare.rename(three.folder / "bare")
    mounted.mkdir()
    (mounted / ".undercroft").mkdir()
    (mounted / "f").write_bytes(b"content")
    mounted.rename(bare)
    three.get(b"content")
    assert three.get(b"content").failed == []
    assert three.read() == b"content"


def test_a_source_that_is_there_stays_open(three: Three) -> None:
    for _ in range(3):
        assert three.get(b"content").failed
    assert three.opened == ["C", "A", "B"]


def test_what_is_no_file_is_no_source_and_leaves_nothing_open(three: Three) -> None:
    root = three.folder / "A"
    (root / "folder").mkdir()
    (root / "link").symlink_to("file")
    storage = three.open("A")
    before = _open_files()
    for name in ("folder", "link", "nothing", "link/below"):
        with pytest.raises(SourceChanged) as told:
            storage.open_source(name)
        assert not isinstance(told.value, SourceLost)
    assert _open_files() == before
    storage.close()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
