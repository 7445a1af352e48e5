"""Two processes of one entry are alive at once, for the old one was paused: neither spoils what the other writes."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Bytes, Unread, unpaced, wanted, write
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.operations import Put
from undercroft.families.sync.storages import kernel, local_arrivals
from undercroft.families.sync.storages.errors import Changed, InTheWay, SourceChanged
from undercroft.families.sync.storages.local_content import LARGE
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.storages.storage import Source, freely

CONTENT = os.urandom(LARGE + 2**20)
Open = Callable[[str], LocalStorage]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(kinds.local(tmp_path).options["root"])


@pytest.fixture
def open_as(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """The root's storage as the process of that name has it; with its own folders open."""
    opened: list[LocalStorage] = []

    def open_as(process: str) -> LocalStorage:
        monkeypatch.setattr(local_arrivals, "PROCESS", process)
        opened.append(LocalStorage(str(root)))
        opened[-1].check(0)
        return opened[-1]

    yield open_as
    for storage in opened:
        storage.close()


@pytest.fixture
def old(open_as: Open) -> LocalStorage:
    return open_as("old")


@pytest.fixture
def new(open_as: Open, old: LocalStorage) -> LocalStorage:
    return open_as("new")


class Meanwhile(Bytes):
    """Something happens when it is read for the first time."""

    def __init__(self, content: bytes, happens: Callable[[], object]) -> None:
        super().__init__(content)
        self._happens: list[Callable[[], object]] = [happens]

    def read(self, size: int = -1) -> bytes:
        while self._happens:
            self._happens.pop()()
        return super().read(size)


def test_a_small_one_is_whole_though_another_process_writes_it_as_well(
    root: Path, old: LocalStorage, new: LocalStorage
) -> None:
    put = wanted("f", b"content")
    token = old.receive(put, Bytes(b"content"), freely)
    source = Meanwhile(b"content", lambda: old.put_in_place(put, token))
    again = new.receive(put, source, freely)
    assert (root / "f").read_bytes() == b"content"
    with pytest.raises(Changed):
        new.put_in_place(put, again)
    assert _arriving(root) == []


@pytest.mark.parametrize("arrived", [False, True], ids=["while it is written", "before it has its name"])
def test_a_large_one_is_one_process_s_until_it_has_its_name(
    root: Path, old: LocalStorage, new: LocalStorage, arrived: bool
) -> None:
    put = wanted("f", CONTENT)

    def refused() -> None:
        with pytest.raises(OSError, match=r"^another process of this entry is writing it$"):
            new.receive(put, Unread(b""), freely)

    token = old.receive(put, Bytes(CONTENT) if arrived else Meanwhile(CONTENT, refused), freely)
    refused()
    old.make_durable([token])
    refused()
    old.put_in_place(put, token)
    assert (root / "f").read_bytes() == CONTENT
    write(new, "f", CONTENT[::-1], new.look("f") or "")
    assert (root / "f").read_bytes() == CONTENT[::-1]


def test_what_got_its_name_in_the_moment_of_the_lock_is_not_touched(
    root: Path, old: LocalStorage, new: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = wanted("f", CONTENT)
    token = old.receive(put, Bytes(CONTENT), freely)
    really = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if not (root / "f").exists():
            old.put_in_place(put, token)
        really(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    before = _open_files()
    with pytest.raises(Changed, match="has just written it"):
        new.receive(put, Unread(b""), freely)
    assert _open_files() == before - 1, "one of them has let go, the other holds nothing"
    assert (root / "f").read_bytes() == CONTENT


def test_what_another_process_left_is_gone_on_with(root: Path, old: LocalStorage, new: LocalStorage) -> None:
    put, before = wanted("f", CONTENT), _open_files()
    with pytest.raises(ConnectionResetError):
        old.receive(put, Bytes(CONTENT, LARGE + 5), freely)
    assert _open_files() == before
    told: list[int] = []
    new.put_in_place(put, new.receive(put, Bytes(CONTENT), told.append))
    assert min(told) == -(LARGE + 5)
    assert (root / "f").read_bytes() == CONTENT


def test_a_large_one_is_free_again_wherever_it_failed(
    root: Path, old: LocalStorage, new: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays open, and another process may have it."""
    put = wanted("f", CONTENT)

    def not_found() -> None:
        with pytest.raises(SourceChanged):
            old.receive(put, Bytes(CONTENT[:-1] + b"!"), freely)

    def not_durable() -> None:
        token = old.receive(put, Bytes(CONTENT), freely)
        with monkeypatch.context() as broken, pytest.raises(OSError, match="a bad disk"):
            broken.setattr(os, "fsync", _fail)
            old.make_durable([token])
        assert _arriving(root) == [], "it would be taken for whole"

    def in_the_way() -> None:
        (root / "f").mkdir()
        (root / "f/g").touch()
        with pytest.raises(InTheWay):
            old.put_in_place(put, old.receive(put, Bytes(CONTENT), freely))
        (root / "f/g").unlink()
        (root / "f").rmdir()
        assert len(_arriving(root)) == 1, "it may have gone out of the way when it is tried again"

    def changed() -> None:
        replacing = put._replace(base="of long ago")
        with pytest.raises(Changed):
            old.put_in_place(replacing, old.receive(replacing, Bytes(CONTENT), freely))

    before = _open_files()
    for fail in (not_found, not_durable, in_the_way, changed):
        fail()
        assert _open_files() == before
        free = new.receive(put, Bytes(CONTENT), freely)
        new._arrivals.discard(free)
        new._arrivals.let_go(free)
        assert _open_files() == before
        assert _arriving(root) == []


def test_a_small_one_that_can_t_be_made_durable_does_not_stay(root: Path, old: LocalStorage) -> None:
    tokens = [old.receive(wanted(name, b"content"), Bytes(b"content"), freely) for name in "fg"]
    before = _open_files()
    with pytest.MonkeyPatch.context() as broken, pytest.raises(OSError, match="a bad disk"):
        broken.setattr(os, "fsync", _fail)
        old.make_durable(tokens)
    assert _open_files() == before
    assert _arriving(root) == []


def test_what_could_not_replace_takes_nothing_of_another_process_s_away(
    root: Path, old: LocalStorage, new: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one's temporary name is free while it changes places with what it replaces: the new one begins anew."""
    base = write(old, "f", b"before").revision
    put = wanted("f", CONTENT, base)
    token = old.receive(put, Bytes(CONTENT), freely)
    really = kernel.rename
    begun: list[bytes] = []

    def rename(*arguments: Any) -> None:
        if arguments[-1] == kernel.EXCHANGE and not begun:
            (root / "f").unlink()
            begun.append(new.receive(put, Bytes(CONTENT), freely))
        really(*arguments)

    monkeypatch.setattr(kernel, "rename", rename)
    with pytest.raises(FileNotFoundError):
        old.put_in_place(put, token)
    assert list((root / OWN_FOLDER / "versions").iterdir()) == []
    assert begun == [token]
    new.put_in_place(put._replace(base=""), token)
    assert (root / "f").read_bytes() == CONTENT


def test_what_a_killed_process_left_goes(root: Path, old: LocalStorage, new: LocalStorage) -> None:
    """What is small when the next one begins, the rest when nothing is on its way; but not what another is writing."""
    for n in range(300):
        old.receive(wanted(f"f{n}", b"content"), Bytes(b"content"), freely)
    large = old.receive(wanted("large", CONTENT), Bytes(CONTENT), freely)
    with pytest.raises(ConnectionResetError):
        old.receive(wanted("cut", CONTENT), Bytes(CONTENT, LARGE), freely)
    mine = new.receive(wanted("f", b"content"), Bytes(b"content"), freely)
    assert len(_arriving(root)) == 303
    new.check(0)
    assert len(_arriving(root)) == 3
    assert mine.decode() in _arriving(root)
    before = _open_files()
    new.forget_old_arrivals(-1)
    assert _arriving(root) == [large.decode()]
    assert _open_files() == before
    old._arrivals.close()
    new.forget_old_arrivals(-1)
    assert _arriving(root) == []


def test_old_small_ones_go_when_nothing_is_on_its_way(root: Path, old: LocalStorage) -> None:
    """This process's own are among them."""
    for n in range(300):
        old.receive(wanted(f"f{n}", b"content"), Bytes(b"content"), freely)
    old.check(0)
    assert len(_arriving(root)) == 300
    old.forget_old_arrivals(-1)
    assert _arriving(root) == []


def test_a_file_system_without_locks_takes_large_ones_as_it_takes_small_ones(
    root: Path, old: LocalStorage, new: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    before, put = _open_files(), wanted("f", CONTENT)
    token = old.receive(put, Bytes(CONTENT), freely)
    again = new.receive(put, Meanwhile(CONTENT, lambda: old.put_in_place(put, token)), freely)
    assert (root / "f").read_bytes() == CONTENT
    with pytest.raises(Changed):
        new.put_in_place(put, again)
    new.forget_old_arrivals(-1)
    assert _arriving(root) == []
    assert _open_files() == before


def test_a_restore_waits_for_nobody_and_spoils_nothing(
    root: Path, old: LocalStorage, new: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write(old, "f", CONTENT).revision
    replaced = write(old, "f", b"newer", base).replaced
    assert replaced is not None
    really = LocalStorage.receive

    def receive(storage: LocalStorage, put: Put, source: Source, pace: Callable[[int], None]) -> bytes:
        token = really(storage, put, source, pace)
        if storage is old:
            with pytest.raises(OSError, match="another process of this entry is writing it"):
                new.restore("f", replaced.place, unpaced)
        return token

    monkeypatch.setattr(LocalStorage, "receive", receive)
    before = _open_files()
    old.restore("f", replaced.place, unpaced)
    assert (root / "f").read_bytes() == CONTENT
    new.restore("f", replaced.place, unpaced)
    assert _arriving(root) == []
    assert _open_files() == before


def _fail(_: int) -> None:
    raise OSError(errno.EIO, "a bad disk")


def _arriving(root: Path) -> list[str]:
    return os.listdir(root / OWN_FOLDER / "incoming")  # noqa: PTH208


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
