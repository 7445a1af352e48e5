"""What a worker tells of a folder: looked at here, in this process. The test plays what comes between two looks."""

import errno
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncinotify import Inotify

from tests.families.sync.eyes import Eyes, gone, reports, skipped
from tests.families.sync.parts import write
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages import open_storage
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.others_roots import REASON
from undercroft.families.sync.wire import Message, Scanned, Skipped
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.noticing import Noticing
from undercroft.families.sync.worker.observing import Observer
from undercroft.families.sync.worker.pages import BATCH
from undercroft.families.sync.worker.skips import Skips
from undercroft.families.sync.worker.watching import UNWATCHED


@pytest.fixture
def eyes(tmp_path: Path) -> Iterator[Eyes]:
    """On 40 files, whose content is their number."""
    write(tmp_path, {b"d/%d" % n: b"%d" % n for n in range(40)})
    with Inotify() as inotify:
        yield Eyes(tmp_path, inotify)


def test_what_is_gone_is_told_in_pages_of_one_look(eyes: Eyes) -> None:
    write(eyes.root, {b"many/%d" % n: b"m%d" % n for n in range(2 * BATCH + 1)})
    eyes.scan()
    shutil.rmtree(eyes.root / "many")
    *pages, scanned = eyes.scan()
    assert [len(page.seen) for page in reports(pages)] == [BATCH, BATCH, 1]
    assert len({page.look for page in reports(pages)}) == 1
    assert {page.vanished for page in reports(pages)} == {2 * BATCH + 1}
    assert isinstance(scanned, Scanned)
    assert scanned.files == 40


@pytest.mark.parametrize("live", [True, False])
def test_both_halves_of_a_rename_are_in_one_page(eyes: Eyes, live: bool) -> None:
    write(eyes.root, {b"many/%d" % n: b"m%d" % n for n in range(2 * BATCH)})
    eyes.scan()
    (eyes.root / "many").rename(eyes.root / "all")
    (eyes.root / "all/0").unlink()
    told = reports(eyes.look_at("many", "all") if live else eyes.scan())
    assert {page.vanished for page in told} == {1}
    assert sum(len(page.seen) for page in told) == 4 * BATCH - 1
    for page in told:
        assert len(page.seen) <= BATCH + 1
        paths = {seen.path: seen.content for seen in page.seen}
        assert all(paths.get(path.replace("all/", "many/"), 1) is None for path in paths if path.startswith("all/"))


def test_what_has_changed_is_not_new(eyes: Eyes) -> None:
    """20 gone and 20 changed are 20 vanished; 20 gone and 20 new are none."""
    for n in range(20):
        (eyes.root / f"d/{n}").unlink()
        (eyes.root / f"d/{n + 20}").write_bytes(b"changed %d" % n)
    [report] = reports(eyes.scan())
    assert (len(report.seen), report.vanished) == (40, 20)
    for n in range(20, 40):
        (eyes.root / f"d/{n}").unlink()
        (eyes.root / f"new {n}").write_bytes(b"new %d" % n)
    [report] = reports(eyes.scan())
    assert (len(report.seen), report.vanished) == (40, 0)


def test_what_is_new_is_told_before_more_has_vanished(eyes: Eyes) -> None:
    """With the other half of what was renamed. It counts as new all the same when it is told what is gone."""
    (eyes.root / "d/0").rename(eyes.root / "renamed")
    (eyes.root / "d/1").write_bytes(b"changed")
    (eyes.root / "new").write_bytes(b"new")
    for n in range(2, 30):
        (eyes.root / f"d/{n}").unlink()
    eyes.observer.look_at(["d", "renamed", "new"])
    assert eyes.observer.vanished == 27
    eyes.told.clear()
    assert eyes.observer.tell_here() == []
    [report] = reports(eyes.told)
    assert {seen.path for seen in report.seen} == {"d/0", "renamed", "d/1", "new"}
    assert report.vanished == 0
    assert eyes.observer.vanished == 27
    [report] = reports(eyes.tell())
    assert (len(report.seen), report.vanished) == (28, 27)


def test_what_is_new_does_not_wait_beside_what_vanishes(eyes: Eyes) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError

    noticing = Noticing(eyes.storage, eyes.index, never, never, eyes.told.append, print, threading.Event())
    noticing._observer = eyes.observer
    eyes.told.clear()
    (eyes.root / "d/0").unlink()
    (eyes.root / "d/1").unlink()
    (eyes.root / "new").write_bytes(b"new")
    later, wait = noticing._look_and_tell(eyes.observer.look_at, ["d", "new"])
    assert (later, wait > 0) == ([], True)
    assert [seen.path for report in reports(eyes.told) for seen in report.seen] == ["new"]


def test_what_came_back_while_more_was_looked_for_is_no_deletion(eyes: Eyes) -> None:
    (eyes.root / "d").rename(eyes.root.parent / "away")
    eyes.observer.look_at(["d"])
    assert eyes.observer.vanished == 40
    (eyes.root.parent / "away").rename(eyes.root / "d")
    (eyes.root / "d/0").unlink()
    eyes.observer.look_at(["d"])
    assert eyes.observer.vanished == 1
    assert gone(eyes.tell()) == {"d/0"}


@pytest.mark.parametrize(
    ("taken", "left"),
    [("in", set()), ("in/b", {"in/a"}), ("in/a", {"in/b/c"}), ("in/b/c", {"in/a"})],
)
def test_what_came_into_a_new_folder_and_went_before_that_was_watched(eyes: Eyes, taken: str, left: set[str]) -> None:
    """An operation has made the folder; of what happens in it nothing is heard until it is walked."""
    write(eyes.root, {b"in/a": b"1", b"in/b/c": b"2"})
    for path in ("in/a", "in/b/c"):
        seen = eyes.storage.read(path)
        assert seen is not None
        eyes.index.note(seen)
    shutil.rmtree(eyes.root / taken) if (eyes.root / taken).is_dir() else (eyes.root / taken).unlink()

    assert gone(eyes.look_at("in")) == {"in/a", "in/b/c"} - left
    assert not eyes.observer._watched._arrived, "it is watched now"
    eyes.index.note(Seen("d/new", Content("x", 1, 1, 0o644), "r"))
    eyes.look_at()
    assert not eyes.observer._watched._arrived, "d is watched from the beginning"


def test_a_known_folder_whose_place_another_takes(eyes: Eyes) -> None:
    """As who puts a new release of a site in the place of the old one: no event tells of the files one by one."""
    write(eyes.root.parent, {b"other/0": b"other", b"other/new": b"new"})
    (eyes.root / "d").rename(eyes.root.parent / "away")
    (eyes.root.parent / "other").rename(eyes.root / "d")
    told = eyes.look_at("d")
    assert gone(told) == {f"d/{n}" for n in range(1, 40)}


def test_a_root_that_is_emptied_is_told_as_such(eyes: Eyes) -> None:
    shutil.rmtree(eyes.root / "d")
    assert {report.emptied for report in reports(eyes.scan())} == {True}
    write(eyes.root, {b"new": b"new"})
    assert {report.emptied for report in reports(eyes.scan())} == {False}
    (eyes.root / "new").unlink()
    assert {report.emptied for report in reports(eyes.look_at("new"))} == {False}, "a deletion while it is watched"


def test_where_each_look_is_a_request_what_is_missing_is_looked_at_once(
    eyes: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is told, however often all was listed before: not being listed is not being gone."""
    for n in range(20):
        (eyes.root / f"d/{n}").rename(eyes.root / f"d/{n}.tmp")
    looked: list[str] = []
    really = eyes.storage.look

    def look(path: str) -> str | None:
        looked.append(path)
        if path == "d/1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path)

    monkeypatch.setattr(eyes.storage, "polled", 60.0)
    monkeypatch.setattr(eyes.storage, "look", look)
    monkeypatch.setattr(eyes.storage, "is_ignored", lambda path: path.endswith(b".tmp"))
    for _ in range(2):
        eyes.observer.scan()
        assert eyes.observer.vanished == 20
    (eyes.root / "d/0.tmp").rename(eyes.root / "d/0")
    told = eyes.tell()
    assert sorted(looked) == sorted(f"d/{n}" for n in range(20))
    assert gone(told) == {f"d/{n}" for n in range(2, 20)}
    assert {report.vanished for report in reports(told)} == {18}
    assert [path for [(path, _)], _ in skipped(told)] == ["d/1"]


def test_nothing_is_told_gone_of_a_root_that_is_gone(eyes: Eyes) -> None:
    shutil.rmtree(eyes.root)
    with pytest.raises(Vanished):
        eyes.observer.look_at(["d"])


def test_what_is_skipped_is_told_at_once(eyes: Eyes) -> None:
    (eyes.root / "e").mkdir()
    (eyes.root / "e/link").symlink_to("/")
    [([(path, reason)], anew)] = skipped(eyes.look_at("e"))
    assert (path, anew) == ("e/link", False)
    assert "link" in reason
    assert skipped(eyes.look_at("d")) == []
    shutil.rmtree(eyes.root / "e")
    assert skipped(eyes.look_at("e")) == [([("e/link", "")], False)]
    for n in range(BATCH + 1):
        (eyes.root / f"link {n}").symlink_to("/")
    pages = skipped(eyes.scan())
    assert [(len(page), anew) for page, anew in pages] == [(BATCH, False), (1, False)]
    assert skipped(eyes.scan()) == [], "nothing has changed"
    (eyes.root / "link 0").unlink()
    assert skipped(eyes.scan()) == [([("link 0", "")], False)]


def test_what_is_skipped_is_told_anew_at_first_whatever_was_looked_at_until_then(tmp_path: Path) -> None:
    """What the server knows is what the process before has told."""
    write(tmp_path, {b"f": b"1"})
    (tmp_path / "link").symlink_to("f")
    storage = open_storage(("local_storage", {"root": str(tmp_path)}))
    storage.check(0)
    told: list[Message] = []
    observer = Observer(storage, Index(), None, told.append)
    observer.scan()
    observer.tell_here()
    observer.scan()
    observer.tell()
    [(pages, anew)] = skipped(told)
    assert dict(pages).keys() == {"link", "/"}
    assert anew


def test_what_was_told_is_told_again_where_all_is() -> None:
    skips = Skips()
    skips["a"] = "one"
    assert list(skips.untold()) == [Skipped([("a", "one")], anew=False)]
    skips["b"] = "other"
    skips.tell_all()
    assert list(skips.untold()) == [Skipped([("a", "one"), ("b", "other")], anew=True)]
    assert list(skips.untold()) == []


def test_a_folder_that_can_t_be_watched_is_read_and_that_is_said(tmp_path: Path) -> None:
    """The limit of watches is the machine's: it is played."""

    class Full(Inotify):
        def add_watch(self, *arguments: Any, **more: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path, {b"d/f": b"1"})
    with Full() as inotify:
        eyes = Eyes(tmp_path, inotify)
        assert len(eyes.index) == 1
        assert skipped(eyes.told) == [([("/", UNWATCHED), ("d", UNWATCHED)], True)]
        (tmp_path / "d/f").unlink()
        told = eyes.scan()
    assert gone(told) == {"d/f"}
    assert skipped(told) == [], "it is as it was"


def test_a_root_of_anothers_that_comes_later_is_left_alone_and_nothing_in_it_is_gone(
    eyes: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is there before its mark; what was known in it is neither told nor forgotten."""
    (eyes.root / "d/.undercroft").mkdir()
    assert eyes.look_at("d/.undercroft") == []
    (eyes.root / "d/.undercroft/root").write_text("entry other 1\n")
    (told,) = eyes.look_at("d/.undercroft/root")
    assert told == Skipped([("d", REASON)], anew=False)
    (eyes.root / "d/0").write_bytes(b"theirs")
    (eyes.root / "d/1").unlink()
    (eyes.root / "d/new").mkdir()
    (eyes.root / "d/new/f").write_bytes(b"theirs")
    assert not reports(eyes.look_at("d/0", "d/1", "d/new", "d/new/f", "d"))
    for polled in (None, 60.0):
        monkeypatch.setattr(eyes.storage, "polled", polled)
        eyes.observer.scan()
        assert eyes.observer.vanished == 0
        assert not reports(eyes.tell())
        assert len(eyes.index) == 40
    (eyes.root / "d/.undercroft/root").unlink()
    eyes.look_at("d/.undercroft/root")
    told_again = eyes.scan()
    assert Skipped([("d", "")], anew=False) in told_again
    assert {seen.path for seen in reports(told_again)[0].seen} == {"d/0", "d/1", "d/new/f"}


def test_a_root_of_anothers_that_is_gone_takes_along_what_was_known_in_it(eyes: Eyes) -> None:
    (eyes.root / "d/.undercroft").mkdir()
    (eyes.root / "d/.undercroft/root").write_text("entry other 1\n")
    eyes.scan()
    shutil.rmtree(eyes.root / "d")
    assert {seen.path for one in reports(eyes.look_at("d")) for seen in one.seen} == {f"d/{n}" for n in range(40)}
