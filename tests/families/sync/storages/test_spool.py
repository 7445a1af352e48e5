"""What is gathered on its way to a storage elsewhere takes no more of this machine's disk than it has to."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Bytes, Kind, Unread, contents, wanted, write
from tests.services.dropboxserver import DropboxServer
from undercroft.families.sync.storages import spool
from undercroft.families.sync.storages.errors import Changed, InTheWay, SourceLost
from undercroft.families.sync.storages.remote import RemoteStorage
from undercroft.families.sync.storages.spool import Spool

LARGE = os.urandom(9 * 2**20)
REFUSALS = (
    OSError(errno.ENOSPC, "the quota is used up"),
    OSError(errno.EILSEQ, "no such name"),
    OSError(errno.EIO, "status 500"),
    NotADirectoryError(errno.ENOTDIR, "a file is in the way"),
    Changed("meanwhile"),
)


@pytest.fixture
def far() -> Iterator[Kind]:
    with DropboxServer() as server:
        kind = kinds.dropbox(server)
        yield kind
        kind.close()


@pytest.fixture
def storage(far: Kind) -> RemoteStorage:
    opened = far.open()
    assert isinstance(opened, RemoteStorage)
    opened.check(0)
    return opened


def gathered(far: Kind) -> dict[str, int]:
    """What is in the spool: name → bytes."""
    folder = far.folder / "spool"
    return {file.name: file.stat().st_size for file in folder.iterdir()} if folder.exists() else {}


def refuse(monkeypatch: pytest.MonkeyPatch, storage: RemoteStorage, error: Exception) -> None:
    def put(*_: Any) -> None:
        raise error

    monkeypatch.setattr(storage._drive, "put", put)


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__ + str(getattr(error, "errno", "")))
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_what_is_refused_does_not_stay(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch, error: Exception, content: bytes
) -> None:
    refuse(monkeypatch, storage, error)
    with pytest.raises((OSError, Changed, InTheWay)):
        write(storage, "f", content)
    assert gathered(far) == {}


def test_what_can_not_be_kept_before_it_is_replaced_does_not_stay(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write(storage, "f", b"one").revision

    def copy(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "the quota is used up")

    monkeypatch.setattr(storage._drive, "copy", copy)
    with pytest.raises(OSError, match="quota"):
        write(storage, "f", LARGE, base)
    assert gathered(far) == {}


def test_only_a_large_one_whose_line_was_cut_stays(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (ConnectionResetError(), TimeoutError(), OSError(errno.EHOSTUNREACH, "")):
        with monkeypatch.context() as cut:
            refuse(cut, storage, error)
            for name, content in (("small", b"small"), ("large", LARGE)):
                with pytest.raises(OSError):
                    write(storage, name, content)
        assert list(gathered(far).values()) == [len(LARGE)]
    with pytest.raises(SourceLost):
        storage.receive(wanted("lost", b"small"), Lost(b""), lambda _: None)
    assert list(gathered(far).values()) == [len(LARGE)]

    reads = Bytes(LARGE)
    put = wanted("large", LARGE)
    storage.put_in_place(put, storage.receive(put, reads, lambda _: None))
    assert reads._at == len(LARGE)
    assert contents(storage) == {"large": LARGE}
    assert gathered(far) == {}


def test_of_what_is_to_be_gone_on_with_the_latest_stay(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_LEFT", 2 * len(LARGE) + 100)
    refuse(monkeypatch, storage, ConnectionResetError())
    under_way = storage.receive(wanted("small", b"of another lane"), Bytes(b"of another lane"), lambda _: None)
    puts = [wanted(name, LARGE) for name in "abc"]
    tokens = []
    for at, put in enumerate(puts):
        tokens.append(storage.receive(put, Bytes(LARGE), lambda _: None).decode())
        os.utime(far.folder / "spool" / tokens[-1], (at, at))
        with pytest.raises(ConnectionResetError):
            storage.put_in_place(put, tokens[-1].encode())
    assert set(gathered(far)) == {under_way.decode(), *tokens[1:]}
    monkeypatch.setattr(spool, "MOST_LEFT", 1)
    storage._spool._bound()
    assert set(gathered(far)) == {under_way.decode(), tokens[-1]}


def test_what_would_fill_the_disk_of_the_database_is_not_gathered(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        total, free = 2**40, spool.ROOM_LEFT + 10

    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    write(storage, "f", b"ten  bytes")
    with pytest.raises(OSError, match="data folder has too little room") as told:
        storage.receive(wanted("g", b"eleven byte"), Unread(b""), lambda _: None)
    assert told.value.errno is None, "else it would be taken for a fault of the storage"
    Disk.total = Disk.free
    write(storage, "g", b"a small disk is used, too")


def test_what_is_to_be_gone_on_with_has_its_room_already(
    far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs what is missing of it; and what waits to be gone on with gives way to what comes."""
    room = spool.ROOM_LEFT + len(LARGE) + 10

    class Disk:
        total = 2**40

        @property
        def free(self) -> int:
            return room - sum(gathered(far).values())

    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk())
    refuse(monkeypatch, storage, ConnectionResetError())
    for name, content in (("f", LARGE), ("f", LARGE), ("g", LARGE[1:])):
        with pytest.raises(ConnectionResetError):
            write(storage, name, content)
        assert list(gathered(far).values()) == [len(content)]


def test_what_can_not_be_replaced_is_not_even_read(storage: RemoteStorage) -> None:
    base = write(storage, "f", b"one").revision
    for put in (wanted("f", LARGE), wanted("f", LARGE, "other"), wanted("new", LARGE, base)):
        with pytest.raises(Changed):
            storage.receive(put, Unread(b""), lambda _: None)


def test_a_server_that_is_away_is_known_before_a_large_one_is_read(far: Kind) -> None:
    storage = far.open(**far.at_port(1))
    with pytest.raises(OSError):
        storage.receive(wanted("f", LARGE), Unread(b""), lambda _: None)
    assert gathered(far) == {}


def test_gathering_ends_when_there_is_nobody_to_do_it_for(far: Kind, storage: RemoteStorage) -> None:
    def hung_up(_: int) -> None:
        raise ConnectionAbortedError("the server has hung up")

    reads = Bytes(LARGE)
    with pytest.raises(ConnectionAbortedError):
        storage.receive(wanted("f", LARGE), reads, hung_up)
    assert reads._at < len(LARGE)


def test_what_is_restored_does_not_stay(far: Kind, storage: RemoteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write(storage, "f", LARGE).revision
    replaced = write(storage, "f", b"two", base).replaced
    assert replaced is not None
    refuse(monkeypatch, storage, ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        storage.restore("f", replaced.place, kinds.unpaced)
    assert gathered(far) == {}


def test_a_folder_of_this_machine_keeps_no_part_of_what_failed(tmp_path: Path) -> None:
    """It may be the disk that is full."""
    kind = kinds.local(tmp_path)
    storage = kind.open()
    storage.check(0)
    incoming = tmp_path / "root/.undercroft/incoming"

    def full(done: int) -> None:
        if done > 8 * 2**20:
            raise OSError(errno.ENOSPC, "no room")

    with pytest.raises(OSError, match="no room"):
        storage.receive(wanted("f", LARGE), Bytes(LARGE), full)
    assert list(incoming.iterdir()) == []
    with pytest.raises(SourceLost):
        storage.receive(wanted("f", LARGE), Lost(LARGE[: 2**20]), lambda _: None)
    assert list(incoming.iterdir()) == []
    kind.close()


def test_a_spool_of_nobody_has_nothing_to_forget() -> None:
    Spool(None).forget_old(0)


class Lost(Bytes):
    """A source that ends in the middle: its line was cut."""

    def read(self, size: int = -1) -> bytes:
        block = super().read(size)
        if not block:
            raise SourceLost("the line was cut")
        return block
