"""Large files are read beside all else: what is told meanwhile, and when they are. What has 1 KiB is large here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from tests.families.sync.parts import write
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages import open_storage
from undercroft.families.sync.storages.storage import Pace, freely
from undercroft.families.sync.wire import Message, Report, Scanned, Skipped
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import Observer

LARGE = 1_024


def large(text: str) -> bytes:
    return text.encode() * LARGE


class Eyes:
    """An observer of a root on 40 small files and two large ones, `a` and `b`, all of which it has told."""

    def __init__(self, root: Path) -> None:
        write(root, {b"d/%d" % n: b"%d" % n for n in range(40)} | {b"a": large("a"), b"b": large("b")})
        self.root = root
        self.told: list[Message] = []
        self.index = Index()
        self.storage = open_storage(("local_storage", {"root": str(root)}))
        self.storage.check(0)
        self.observer = Observer(self.storage, self.index, None, self.told.append, large_from=LARGE)
        self.scan()
        self.read_all()

    def scan(self) -> list[Report]:
        self.observer.scan()
        return self.tell()

    def look_at(self, *paths: str) -> list[Report]:
        self.observer.look_at(paths)
        return self.tell()

    def tell(self) -> list[Report]:
        assert self.observer.tell() == []
        return self.heard()

    def heard(self) -> list[Report]:
        told, self.told[:] = list(self.told), []
        return [message for message in told if isinstance(message, Report)]

    def read_next(self) -> list[Report]:
        """As it is now: what the thread beside would have read."""
        wanted = self.observer.next_large(())
        assert wanted is not None
        return self.take(*wanted, lambda: self.storage.read(wanted[0]))

    def take(self, path: str, revision: str, result: Callable[[], Seen | None]) -> list[Report]:
        self.observer.take(path, revision, result)
        return self.heard()

    def read_all(self) -> None:
        while self.observer.next_large(()):
            self.read_next()
            self.tell()


@pytest.fixture
def eyes(tmp_path: Path) -> Iterator[Eyes]:
    eyes = Eyes(tmp_path)
    yield eyes
    eyes.storage.close()


def paths(reports: list[Report]) -> dict[str, bool]:
    """What was told → whether it is there."""
    return {seen.path: seen.content is not None for report in reports for seen in report.seen}


def test_what_is_large_is_told_by_itself_after_all_else(eyes: Eyes) -> None:
    write(eyes.root, {b"large": large("x"), b"small": b"small"})
    assert paths(eyes.scan()) == {"small": True}
    assert paths(eyes.scan()) == {}, "found again, and told no twice"
    assert "large" not in eyes.index
    [report] = eyes.read_next()
    [seen] = report.seen
    assert seen.content is not None
    assert seen.content.hash == blake3(large("x")).hexdigest()
    assert eyes.index.revision("large") == eyes.storage.look("large") == seen.revision
    assert eyes.observer.next_large(()) is None
    assert eyes.scan() == []


def test_all_has_been_looked_at_when_what_was_found_is_told(eyes: Eyes) -> None:
    """As it was found: what changes again is another matter."""

    def scanned(*later: str) -> bool:
        assert eyes.observer.tell() == list(later)
        told, eyes.told[:] = list(eyes.told), []
        skipped.extend(message for message in told if isinstance(message, Skipped))
        return any(isinstance(message, Scanned) for message in told)

    skipped: list[Skipped] = []

    write(eyes.root, {b"one": large("1"), b"two": large("2")})
    (eyes.root / "link").symlink_to("/")
    eyes.observer.scan()
    assert not scanned()
    eyes.read_next()
    assert not scanned()
    assert len(skipped) == 1
    write(eyes.root, {b"two": large("changed"), b"three": large("3")})
    eyes.observer.look_at(["two", "three"])
    assert scanned()
    assert not scanned()
    eyes.observer.scan()
    assert not scanned()
    eyes.read_next()
    wanted = eyes.observer.next_large(())
    assert wanted is not None
    eyes.take(*wanted, lambda: None)
    assert scanned(wanted[0]), "it is looked at again"


def test_a_rename_of_a_large_file_is_told_as_one(eyes: Eyes) -> None:
    """Also where its new name had another. Until it is read neither half is told, though all else is."""
    (eyes.root / "a").rename(eyes.root / "new")
    (eyes.root / "d/0").unlink()
    [report] = eyes.look_at("a", "new", "d/0")
    assert (paths([report]), report.vanished) == ({"d/0": False}, 1)
    assert eyes.look_at("a") == eyes.scan() == []
    [report] = eyes.read_next()
    assert (paths([report]), report.vanished) == ({"a": False, "new": True}, 0)
    assert eyes.tell() == []
    (eyes.root / "new").rename(eyes.root / "b")
    assert eyes.scan() == []
    assert [paths([report]) for report in eyes.read_next()] == [{"new": False, "b": True}]


def test_what_was_renamed_is_read_before_what_nobody_waits_for(eyes: Eyes) -> None:
    write(eyes.root, {b"new %d" % n: large(f"{n}") for n in range(9)})
    eyes.scan()
    (eyes.root / "a").rename(eyes.root / "renamed")
    eyes.look_at("a", "renamed")
    assert paths(eyes.read_next()) == {"a": False, "renamed": True}


def test_another_deletion_waits_for_nothing_large(eyes: Eyes) -> None:
    write(eyes.root, {b"new": large("n")})
    (eyes.root / "a").unlink()
    [report] = eyes.look_at("new", "a")
    assert (paths([report]), report.vanished) == ({"a": False}, 0), "as many are new: it may have been renamed"
    (eyes.root / "b").unlink()
    [report] = eyes.look_at("b")
    assert (paths([report]), report.vanished) == ({"b": False}, 1), "what is new counts once"


@pytest.mark.parametrize("scanned", [True, False])
def test_what_is_large_and_new_hides_no_wave(eyes: Eyes, scanned: bool) -> None:
    """Counted as new by the look that found it, and by no later one, however long it takes to read it."""
    write(eyes.root, {b"new %d" % n: large(f"{n}") for n in range(20)})
    eyes.scan()
    (eyes.root / "a").rename(eyes.root / "renamed")
    for n in range(20):
        (eyes.root / f"d/{n}").unlink()
    [report] = eyes.scan() if scanned else eyes.look_at("a", "renamed", "new 0", "new 1", "d")
    assert (len(report.seen), report.vanished) == (20, 20)
    assert eyes.observer.vanished == 0
    eyes.read_all()
    (eyes.root / "b").unlink()
    [report] = eyes.look_at("b")
    assert report.vanished == 1


def test_what_was_no_rename_is_told_when_that_is_known(eyes: Eyes) -> None:
    """Of the same size and time, and not of the same content."""
    write(eyes.root, {b"new": large("n")})
    about = (eyes.root / "a").stat()
    os.utime(eyes.root / "new", ns=(about.st_atime_ns, about.st_mtime_ns))
    (eyes.root / "a").unlink()
    assert eyes.look_at("a", "new") == []
    assert paths(eyes.read_next()) == {"new": True}
    [report] = eyes.tell()
    assert (paths([report]), report.vanished) == ({"a": False}, 0)


def test_what_goes_again_before_it_is_read_leaves_nothing_waiting(eyes: Eyes) -> None:
    (eyes.root / "a").rename(eyes.root / "new")
    eyes.look_at("a", "new")
    wanted = eyes.observer.next_large(())
    assert wanted is not None
    (eyes.root / "new").unlink()
    [report] = eyes.look_at("new")
    assert (paths([report]), report.vanished) == ({"a": False}, 1)
    assert not eyes.observer.is_wanted(*wanted)
    assert eyes.take(*wanted, lambda: pytest.fail("nobody asks for it")) == []


def test_what_changes_again_before_it_is_read_is_read_anew(eyes: Eyes) -> None:
    (eyes.root / "a").write_bytes(large("changed"))
    eyes.look_at("a")
    first = eyes.observer.next_large(())
    assert first is not None
    (eyes.root / "a").write_bytes(large("changed again"))
    eyes.look_at("a")
    assert not eyes.observer.is_wanted(*first)
    assert eyes.take(*first, lambda: pytest.fail("nobody asks for it")) == []
    assert paths(eyes.read_next()) == {"a": True}
    assert eyes.index.hash("a") == blake3(large("changed again")).hexdigest()
    (eyes.root / "a").write_bytes(b"small")
    assert paths(eyes.look_at("a")) == {"a": True}


def test_what_changes_while_it_is_read_is_looked_at_later(eyes: Eyes) -> None:
    """What waits for it waits on. Unnoticed: before a look that could have found it."""
    (eyes.root / "a").rename(eyes.root / "new")
    eyes.look_at("a", "new")
    wanted = eyes.observer.next_large(())
    assert wanted is not None
    seen = eyes.storage.read("new")
    (eyes.root / "new").chmod(0o600)
    for result in (lambda: None, lambda: seen):
        assert eyes.take(*wanted, result) == []
        assert eyes.observer.tell() == ["new"]
        assert eyes.heard() == []
    assert eyes.look_at("new") == []
    assert paths(eyes.read_next()) == {"a": False, "new": True}


def test_what_an_operation_changes_is_looked_at_later(eyes: Eyes) -> None:
    (eyes.root / "a").rename(eyes.root / "new")
    eyes.look_at("a", "new")
    eyes.index.claim("new")
    assert eyes.read_next() == []
    assert eyes.observer.tell() == ["new"]
    assert eyes.heard() == []
    eyes.index.busy.clear()
    eyes.look_at("new")
    assert paths(eyes.read_next()) == {"a": False, "new": True}


def test_what_can_t_be_read_is_skipped_and_keeps_nothing_waiting(eyes: Eyes) -> None:
    def fail() -> Seen | None:
        raise OSError(5, "Input/output error")

    (eyes.root / "a").rename(eyes.root / "new")
    eyes.look_at("a", "new")
    wanted = eyes.observer.next_large(())
    assert wanted is not None
    assert eyes.take(*wanted, fail) == []
    assert eyes.observer.tell() == []
    skipped = [message.skipped for message in eyes.told if isinstance(message, Skipped)]
    assert skipped == [[("new", "it can't be read: Input/output error")]]
    assert paths(eyes.heard()) == {"a": False}
    assert eyes.observer.next_large(()) is None


def test_a_folder_that_is_renamed_takes_what_is_being_read_with_it(eyes: Eyes) -> None:
    write(eyes.root, {b"d/large": large("x")})
    eyes.look_at("d/large")
    wanted = eyes.observer.next_large(())
    (eyes.root / "d").rename(eyes.root / "e")
    eyes.look_at("d", "e")
    assert wanted is not None
    assert not eyes.observer.is_wanted(*wanted)
    assert paths(eyes.read_next()) == {"e/large": True}


def test_what_grows_while_it_is_read_is_read_beside(eyes: Eyes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was small when it was looked at."""
    really = eyes.storage.read

    def read(path: str, pace: Pace = freely) -> Seen | None:
        (eyes.root / path).write_bytes(large("grown"))
        return really(path, pace)

    write(eyes.root, {b"new": b"small"})
    eyes.observer.look_at(["new"])
    monkeypatch.setattr(eyes.storage, "read", read)
    assert eyes.observer.tell() == ["new"]
    assert eyes.heard() == []
    monkeypatch.undo()
    assert eyes.look_at("new") == []
    assert paths(eyes.read_next()) == {"new": True}
