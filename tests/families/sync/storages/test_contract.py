"""What every storage does, whatever its kind: against real servers."""

import contextlib
import io
import os
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import (
    NOON,
    Bytes,
    Kind,
    Unread,
    contents,
    read,
    revision,
    unpaced,
    wanted,
    write,
)
from tests.services.proxy import Proxy
from undercroft.families.sync.names import OWN_FOLDER, fid_of
from undercroft.families.sync.operations import Delete, Move
from undercroft.families.sync.places import fid_at
from undercroft.families.sync.storages import Storage, asking
from undercroft.families.sync.storages.errors import Changed, InTheWay, SourceChanged, SourceLost, Vanished
from undercroft.families.sync.storages.remote import RemoteStorage
from undercroft.families.sync.storages.sources import is_still
from undercroft.families.sync.storages.storage import Replaced

NAMES = (
    "plain",
    "a folder/ spaces at both ends ",
    "100%25 +#?&=;,:@!$'()*~[]{}|^`\"<>\\",
    unicodedata.normalize("NFC", "é") + "-composed",
    unicodedata.normalize("NFD", "é") + "-decomposed",
    unicodedata.normalize("NFC", "same-é"),
    unicodedata.normalize("NFD", "same-é"),
    "case",
    "CASE",
    "日本/🎈",
    ".hidden/.file",
    "-rf",
    "...",
    "x" * 255,
    "é" * 127 + "x",
    "/".join("d" * 30 for _ in range(12)) + "/deep",
    "new\nline\ttab",
    "no UTF-8: \\xff",
)
# What a kind can't hold as it is: refused, and bent into no other name.
NO_UTF_8 = NAMES[-1]
BEYOND: dict[str, set[str]] = {
    "webdav": {NO_UTF_8},
    "amazon_s3": {NO_UTF_8},
    "dropbox": {NO_UTF_8, NAMES[1], NAMES[4], NAMES[6], "CASE"},
}
# S3 itself takes it; the server that plays it here does not.
UNTRIED = {"amazon_s3": {"new\nline\ttab"}}


def test_names_come_and_go_exactly(kind: Kind, storage: Storage) -> None:
    beyond = BEYOND.get(kind.driver, set())
    put = {name: name.encode()[:20] for name in NAMES if name not in beyond | UNTRIED.get(kind.driver, set())}
    revisions = {name: write(storage, name, content).revision for name, content in put.items()}
    for name in beyond:
        with pytest.raises((OSError, UnicodeEncodeError)):
            write(storage, name, b"content")
        if kind.driver != "dropbox" or name == NO_UTF_8:  # others are told only when they are asked for
            with pytest.raises((OSError, UnicodeEncodeError)):
                storage.receive(wanted(name, b"content"), Unread(b""), lambda _: None)
        with contextlib.suppress(OSError):
            assert storage.look(name) is None

    assert contents(storage) == put
    found = {one.path: _old(one.revision) for one in storage.walk(b"", lambda *_: None)}
    assert found == {name: _old(revision) for name, revision in revisions.items()}
    for name in put:
        storage.delete(Delete(name, 1, revision(storage, name)))
    assert contents(storage) == {}


def test_empty_and_large(storage: Storage) -> None:
    large = os.urandom(2**20) * 20 + b"end"
    write(storage, "empty", b"")
    write(storage, "large", large)

    assert contents(storage) == {"empty": b"", "large": large}
    assert read(storage, "large", len(large) - 2) == b"nd"
    seen = storage.read("large")
    assert seen is not None and seen.content is not None
    assert (seen.content.hash, seen.content.size) == wanted("large", large).content[:2]
    assert seen.revision == revision(storage, "large")


def test_the_time_of_the_change_is_kept_where_it_can_be(storage: Storage, kind: Kind) -> None:
    write(storage, "f", b"content")
    seen = storage.read("f")
    assert seen is not None and seen.content is not None
    if kind.driver in ("webdav", "amazon_s3"):  # its listing, or Apache, knows no time but that of arrival
        assert seen.content.mtime == NOON or abs(seen.content.mtime - time.time_ns()) < 60 * 10**9
    else:
        assert seen.content.mtime == NOON


def test_what_is_replaced_is_what_was_expected_and_kept(storage: Storage) -> None:
    first = write(storage, "folder/f", b"one").revision
    placed = write(storage, "folder/f", b"two", first)
    assert placed.replaced is not None
    assert placed.replaced.size == 3
    assert fid_at(placed.replaced.place) == fid_of("folder/f")
    [kept] = storage.versions()
    assert (kept.place, kept.size) == (placed.replaced.place, 3)
    assert storage.hash_of_version(kept.place) == wanted("", b"one").content.hash
    with pytest.raises(Changed):
        write(storage, "folder/f", b"three", first)
    with pytest.raises(Changed):
        write(storage, "folder/f", b"three")
    with pytest.raises(Changed):
        write(storage, "nothing here", b"three", first)
    assert contents(storage) == {"folder/f": b"two"}

    restored = storage.restore("folder/f", placed.replaced.place, unpaced)
    assert contents(storage) == {"folder/f": b"one"}
    assert restored.seen.content is not None
    assert restored.seen.content.hash == wanted("", b"one").content.hash
    assert _old(restored.seen.revision) == _old(revision(storage, "folder/f"))
    assert restored.replaced is not None
    assert storage.restore("elsewhere", restored.replaced.place, unpaced).replaced is None
    assert contents(storage) == {"folder/f": b"one", "elsewhere": b"two"}

    storage.drop(placed.replaced.place)
    storage.drop(placed.replaced.place)
    with pytest.raises(FileNotFoundError):
        storage.hash_of_version(placed.replaced.place)
    assert placed.replaced.place not in {one.place for one in storage.versions()}
    with pytest.raises(OSError):
        storage.restore("dropped", placed.replaced.place, unpaced)


def test_what_lost_a_conflict_is_kept_beside(storage: Storage) -> None:
    first = write(storage, "d/f.txt", b"one").revision
    write(storage, "d/f.conflict-A.txt", b"in the way")
    placed = write(storage, "d/f.txt", b"two", first, "d/f.conflict-A.txt")
    assert placed.replaced is not None
    assert placed.replaced.kept_as == "d/f.conflict-A-1.txt"
    assert contents(storage) == {
        "d/f.txt": b"two",
        "d/f.conflict-A.txt": b"in the way",
        "d/f.conflict-A-1.txt": b"one",
    }


def test_what_lost_to_a_deletion_is_kept_beside(storage: Storage) -> None:
    """Where one makes a file and another a folder of that name, the file goes aside."""
    for free, wanted_name in (
        ("a/f.conflict-A.txt", "a/f.conflict-A.txt"),
        ("a/f.conflict-A-1.txt", "a/f.conflict-A.txt"),
    ):
        base = write(storage, "a/f.txt", free.encode()).revision
        with pytest.raises(Changed):
            storage.delete(Delete("a/f.txt", 1, base + "1", wanted_name))
        replaced = storage.delete(Delete("a/f.txt", 1, revision(storage, "a/f.txt"), wanted_name))
        assert (replaced.place, replaced.kept_as, replaced.size) == ("", free, len(free))
        assert storage.look("a/f.txt") is None
        assert contents(storage)[free] == free.encode()
    assert len(contents(storage)) == 2


def test_what_is_not_what_was_expected_leaves_nothing_beside(storage: Storage) -> None:
    first = write(storage, "f", b"one").revision
    second = write(storage, "f", b"other", first).revision
    for base in (first, second + "1"):
        with pytest.raises(Changed):
            write(storage, "f", b"third", base, "f.conflict")
        with pytest.raises(Changed):
            storage.delete(Delete("f", 1, base, "f.conflict"))
    storage.delete(Delete("f", 1, revision(storage, "f")))
    with pytest.raises(Changed):
        write(storage, "f", b"third", second, "f.conflict")
    assert contents(storage) == {}


def test_moves_and_deletes_hold_to_what_they_expect(storage: Storage) -> None:
    old = write(storage, "a/b/c/f", b"content").revision
    write(storage, "taken", b"other")
    content = wanted("", b"content").content
    with pytest.raises(Changed):
        storage.move(Move("taken", 1, content, "a/b/c/f", 1, old))
    with pytest.raises(Changed):
        storage.move(Move("free", 1, content, "taken", 1, old))
    with pytest.raises(Changed):
        storage.delete(Delete("taken", 1, old))
    with pytest.raises(Changed):
        storage.delete(Delete("nothing", 1, old))
    new = storage.move(Move("x/y", 1, content, "a/b/c/f", 1, old))
    assert contents(storage) == {"x/y": b"content", "taken": b"other"}
    assert _old(new) == _old(revision(storage, "x/y"))

    kept = storage.delete(Delete("x/y", 1, revision(storage, "x/y")))
    assert contents(storage) == {"taken": b"other"}
    write(storage, "a", b"a file where folders were")
    write(storage, "x", b"here too")
    storage.restore("back/again", kept.place, unpaced)
    assert contents(storage) == {
        "taken": b"other",
        "a": b"a file where folders were",
        "x": b"here too",
        "back/again": b"content",
    }


def test_files_and_folders_swap(kind: Kind, storage: Storage) -> None:
    one = write(storage, "swap", b"a file").revision
    storage.delete(Delete("swap", 1, one))
    two = write(storage, "swap/inner/f", b"in a folder").revision
    if kind.driver == "amazon_s3":
        return  # it knows no folders: both stand beside each other
    with pytest.raises(InTheWay):
        write(storage, "swap", b"a file again")
    with pytest.raises(InTheWay):
        write(storage, "swap/inner/f/g", b"below a file")
    assert contents(storage) == {"swap/inner/f": b"in a folder"}
    storage.delete(Delete("swap/inner/f", 1, two))
    write(storage, "swap", b"a file again")
    assert contents(storage) == {"swap": b"a file again"}


def test_nothing_takes_the_place_of_a_folder_or_goes_below_a_file(kind: Kind, storage: Storage) -> None:
    if kind.driver == "amazon_s3":
        return  # it knows no folders
    file = write(storage, "file", b"a file").revision
    kept = storage.delete(Delete("file", 1, file)).place
    file = write(storage, "file", b"a file").revision
    write(storage, "folder/inner/f", b"in a folder")
    content = wanted("", b"a file").content
    assert storage.look("folder") is None
    for taken in ("folder", "folder/inner", "folder/inner/f/g"):
        with pytest.raises(InTheWay):
            storage.move(Move(taken, 1, content, "file", 1, file))
        with pytest.raises((InTheWay, OSError, Changed)):
            storage.restore(taken, kept, unpaced)
    for base in ("1.1", file):
        with pytest.raises((Changed, OSError)):
            write(storage, "folder", b"over it", base)
        with pytest.raises((Changed, OSError)):
            storage.delete(Delete("folder", 1, base))
    assert contents(storage) == {"file": b"a file", "folder/inner/f": b"in a folder"}
    storage.restore("back", kept, unpaced)
    assert contents(storage)["back"] == b"a file"


def test_odd_names_are_moved_kept_and_put_back_exactly(kind: Kind, storage: Storage) -> None:
    beyond = BEYOND.get(kind.driver, set()) | UNTRIED.get(kind.driver, set())
    for name in {*NAMES[1:5], *NAMES[-2:]} - beyond:
        base = write(storage, "plain one", b"content").revision
        content = wanted("", b"content").content
        storage.move(Move(f"to/{name}", 1, content, "plain one", 1, base))
        place = storage.delete(Delete(f"to/{name}", 1, revision(storage, f"to/{name}"))).place
        storage.restore(f"back/{name}", place, unpaced)
        write(storage, f"back/{name}", b"other", revision(storage, f"back/{name}"), f"back/{name}.kept")
        assert contents(storage) == {f"back/{name}": b"other", f"back/{name}.kept": b"content"}
        for path in contents(storage):
            storage.delete(Delete(path, 1, revision(storage, path)))


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "d/" + "y" * 300 + "/f"])
def test_a_name_that_is_too_long_is_refused_for_itself(kind: Kind, storage: Storage, name: str) -> None:
    if kind.driver in ("amazon_s3", "dropbox"):
        return  # they take longer ones: whoever asks has looked at that before
    with pytest.raises(OSError):
        write(storage, name, b"content")
    write(storage, "f", b"content")
    assert contents(storage) == {"f": b"content"}


def test_what_arrives_is_gone_on_with(storage: Storage) -> None:
    """By every kind, from a source that is lost for a while."""
    content = os.urandom(12 * 2**20)
    put = wanted("large", content)

    class Losing(Bytes):
        seeks: list[int] = []  # noqa: RUF012 - one for all
        ends = 9 * 2**20

        def seek(self, offset: int, whence: int = 0) -> int:
            self.seeks.append(offset)
            return super().seek(offset, whence)

        def read(self, size: int = -1) -> bytes:
            if self._at >= self.ends:
                raise SourceLost("the line was cut")
            return super().read(size)

    with pytest.raises(SourceLost):
        storage.receive(put, Losing(content), lambda _: None)
    assert contents(storage) == {}
    Losing.ends = len(content) + 1
    token = storage.receive(put, Losing(content), lambda _: None)
    assert len(Losing.seeks) == 1 and Losing.seeks[0] >= 9 * 2**20
    storage.make_durable([token])
    storage.put_in_place(put, token)
    assert contents(storage) == {"large": content}


def test_many_in_folders(storage: Storage) -> None:
    """As many as take several pages or requests to list."""
    for n in range(40):
        write(storage, f"folder {n % 8}/of {n % 3}/{n}", b"%d" % n)
    found = {one.path: one.revision for one in storage.walk(b"", lambda *_: None)}
    assert set(found) == {f"folder {n % 8}/of {n % 3}/{n}" for n in range(40)}
    assert all(_old(revision(storage, path)) == _old(r) for path, r in found.items())


@pytest.mark.parametrize("own", ["incoming", "versions", "emptied"])
def test_a_folder_of_ours_that_somebody_removed_is_made_anew(kind: Kind, storage: Storage, own: str) -> None:
    """Empty ones look as if nobody needed them; some clear the versions by hand."""
    for n in (0, 1):
        write(storage, f"folder {n}/f", b"one")
        storage.delete(Delete(f"folder {n}/f", 1, revision(storage, f"folder {n}/f")))
        base = write(storage, f"replaced {n}", b"one").revision
        if n:
            with contextlib.suppress(FileNotFoundError, KeyError):  # not every kind needs each
                kind.remove(f"{OWN_FOLDER}/{own}")
        assert write(storage, f"replaced {n}", b"large" * 300_000, base).replaced is not None
        write(storage, f"new {n}", b"content")
    assert len(contents(storage)) == 4


def test_a_folder_that_somebody_removed_is_made_anew(kind: Kind, storage: Storage) -> None:
    write(storage, "a/b/f", b"one")
    base = write(storage, "plain", b"content").revision
    kind.remove("a")
    write(storage, "a/b/g", b"two")
    kind.remove("a")
    storage.move(Move("a/b/h", 1, wanted("", b"content").content, "plain", 1, base))
    assert contents(storage) == {"a/b/h": b"content"}


def test_nothing_half_done_is_ever_seen(kind: Kind, storage: Storage) -> None:
    content = os.urandom(3 * 2**20)
    put = wanted("f", content)
    with pytest.raises(ConnectionResetError):
        storage.receive(put, Bytes(content, 2**20), lambda _: None)
    with pytest.raises(SourceChanged):
        storage.receive(put, Bytes(bytes([content[0] ^ 1]) + content[1:]), lambda _: None)
    assert contents(storage) == {}

    def stop(done: int) -> None:
        assert kind.names() == set(), "nothing is there before all is"
        if done > 2**20:
            raise ConnectionAbortedError("stopped")

    try:
        token = storage.receive(put, Bytes(content), stop)
        storage.put_in_place(put, token)
    except ConnectionAbortedError:
        assert contents(storage) == {}
    write(storage, "f", content)
    assert contents(storage) == {"f": content}


def test_what_is_ignored_and_what_is_ours_is_not_there(kind: Kind, storage: Storage) -> None:
    kept = write(storage, "kept", b"one").revision
    storage.delete(Delete("kept", 1, kept))
    write(storage, "folder/a.tmp", b"")
    assert set(contents(storage)) == {"folder/a.tmp"}
    assert contents(kind.open(ignore=["*.tmp"])) == {}
    assert storage.is_ignored(f"{OWN_FOLDER}/versions/x".encode())


def test_a_root_that_is_gone_is_told_and_nothing_is_taken_for_deleted(kind: Kind, storage: Storage) -> None:
    write(storage, "f", b"content")
    assert storage.is_there()
    kind.open().check(1)
    kind.remove("")
    with pytest.raises(Vanished) as told:
        kind.open().check(1)
    assert "root" in str(told.value) or "folder" in str(told.value)
    with contextlib.suppress(OSError, Vanished):
        assert not storage.is_there()


def test_wrong_credentials_are_told_without_them(remote: Kind) -> None:
    assert remote.wrong is not None
    storage = remote.open(**remote.wrong)
    with pytest.raises(Vanished) as told:
        storage.check(0)
    secrets = {value for name, value in remote.wrong.items() if "pass" in name or "secret" in name}
    assert not any(secret in str(told.value) for secret in secrets if secret)


def test_a_cut_line_is_an_error_that_heals(remote: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES", (0.01, 0.01))
    content = os.urandom(5 * 2**20)
    with Proxy(remote.port) as line:
        storage = remote.open(**remote.at_port(line.port))
        storage.check(0)
        write(storage, "before", content)
        put = wanted("cut", content)

        def cut(done: int) -> None:
            if done > 2**20:
                line.cut()

        token = storage.receive(put, Bytes(content), cut)
        with pytest.raises(OSError):
            storage.put_in_place(put, token)
        with pytest.raises(OSError):
            list(storage.walk(b"", lambda *_: None))
        with pytest.raises(OSError):
            storage.is_there()
        with pytest.raises(SourceLost):
            read(storage, "before")
        line.mend()
        assert set(contents(storage)) == {"before"}
        write(storage, "cut", content)
        assert contents(storage) == {"before": content, "cut": content}


@pytest.mark.parametrize("driver", ["amazon_s3", "dropbox"])
@pytest.mark.parametrize("size", [100, 6 * 2**20], ids=["at once", "in parts"])
def test_what_is_altered_on_its_way_is_refused(
    make: Callable[[str], Kind], monkeypatch: pytest.MonkeyPatch, driver: str, size: int
) -> None:
    """SSH and TLS see to that themselves; a line in the clear, or what ends TLS before the server, does not."""
    monkeypatch.setattr(asking, "PAUSES", ())
    far = make(driver)
    with Proxy(far.port) as line:
        storage = far.open(**far.at_port(line.port), chunk_size=5 * 2**20)
        storage.check(0)
        base = write(storage, "replaced", b"before").revision
        content = b"\0" * (size - 16) + b"all sixteen here"
        line.bends = {b"all sixteen here": b"all sixteen hers"}
        for name, known in (("new", ""), ("replaced", base)):
            with pytest.raises((OSError, SourceChanged)):
                write(storage, name, content, known)
        assert contents(storage) == {"replaced": b"before"}
        line.bends = {}
        write(storage, "new", content)
        assert contents(storage) == {"replaced": b"before", "new": content}


@pytest.mark.parametrize("lost", ["the answer", "the answer, while it changes", "the request"])
def test_an_answer_that_is_lost_costs_no_kept_content(remote: Kind, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    """New content may have its name before the answer is lost: the copy of the old one is then the only one."""
    storage = remote.open()
    assert isinstance(storage, RemoteStorage)
    storage.check(0)
    first = write(storage, "f", b"one").revision
    drive = storage._drive
    really = drive.put

    def put(*arguments: Any) -> None:
        if lost != "the request":
            really(*arguments)
        if lost == "the answer, while it changes":
            monkeypatch.setattr(storage, "read", lambda _: None)
        raise ConnectionResetError("the line was cut")

    monkeypatch.setattr(drive, "put", put)
    if lost == "the answer":
        assert write(storage, "f", b"two", first, "beside").replaced == Replaced("", "beside", 3, ANY)
    else:
        with pytest.raises(ConnectionResetError):
            write(storage, "f", b"two", first, "beside")
    monkeypatch.undo()
    assert contents(storage) == ({"f": b"one"} if lost == "the request" else {"f": b"two", "beside": b"one"})


@pytest.mark.parametrize("size", [5, 6 * 2**20])
def test_what_was_gathered_is_hashed_again_while_it_is_sent(remote: Kind, size: int) -> None:
    storage = remote.open()
    storage.check(0)
    content = os.urandom(size)
    put = wanted("f", content)
    token = storage.receive(put, Bytes(content), lambda _: None)
    with (remote.folder / "spool" / token.decode()).open("r+b") as spooled:
        spooled.write(bytes([content[0] ^ 1]))
    with pytest.raises(SourceChanged):
        storage.put_in_place(put, token)
    assert contents(storage) == {}
    write(storage, "f", content)
    assert contents(storage) == {"f": content}


def test_what_comes_is_gone_on_with(remote: Kind, tmp_path: Path) -> None:
    """A large source that is lost on the way is read from there on."""
    content = os.urandom(12 * 2**20)
    source = remote.open()
    source.check(0)
    write(source, "large", content)
    (tmp_path / "here").mkdir()
    target = kinds.local(tmp_path / "here").open()
    target.check(0)
    put = wanted("large", content)

    def lose(done: int) -> None:
        if done > 9 * 2**20:
            raise SourceLost("the line was cut")

    with pytest.raises(SourceLost), source.open_source("large") as reading:
        target.receive(put, reading, lose)
    begun: list[int] = []
    with source.open_source("large") as reading:
        token = target.receive(put, reading, begun.append)
    assert min(begun) < -9 * 2**20, "what is there is told as what was there"
    assert next(done for done in begun if done > 0) > 9 * 2**20
    target.put_in_place(put, token)
    assert contents(target) == {"large": content}


def test_a_source_of_a_file_is_read_by_any_storage(make: Callable[[str], Kind], remote: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from here")
    storage = remote.open()
    storage.check(0)
    put = wanted("f", b"from here")
    with io.FileIO(tmp_path / "file") as source:
        storage.put_in_place(put, storage.receive(put, source, lambda _: None))
    assert contents(storage) == {"f": b"from here"}


def _old(revision: str) -> str:
    """SFTP tells whole seconds: what is not over yet is looked at again, though nothing may have changed."""
    return revision.removesuffix(".young")


def test_an_open_source_is_told_from_another(storage: Storage) -> None:
    write(storage, "f", b"first")
    known = revision(storage, "f")
    write(storage, "f", b"other one", known)
    now = revision(storage, "f")
    for start in (0, 3):
        with storage.open_source("f") as source:
            source.seek(start)
            assert source.read(100) == b"other one"[start:]
            assert is_still(source, now, 9)
            assert not is_still(source, known, 5)
            assert not is_still(source, "", 5)
