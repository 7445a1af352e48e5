"""A worker reads what is large beside all else: what it says meanwhile, and what it gives up. 1 KiB is large here."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from tests.families.sync.called import Call, serving
from tests.families.sync.parts import House, house, write
from tests.families.sync.test_large import LARGE, large, paths
from undercroft.families.sync import wire
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.storages.storage import Pace, freely
from undercroft.families.sync.wire import Report
from undercroft.families.sync.worker import noticing


class Disk:
    """What is large is read when the test lets it. It is played by a file system that takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reading: list[str] = []
        self.given_up: list[str] = []
        self.threads: set[int] = set()
        self.goes_on = threading.Event()
        really = LocalStorage.read

        def read(storage: LocalStorage, path: str, pace: Pace = freely) -> Seen | None:
            if (size := storage.look(path)) and int(size.partition(".")[0]) >= LARGE:
                self.reading.append(path)
                self.threads.add(threading.get_ident())
                self._wait(path, pace)
            return really(storage, path, pace)

        monkeypatch.setattr(noticing, "LARGE", LARGE)
        monkeypatch.setattr(noticing, "LOOK_FOR_ROOT", 60.0)  # nothing else wakes who waits for it
        monkeypatch.setattr(LocalStorage, "read", read)

    def _wait(self, path: str, pace: Pace) -> None:
        deadline = time.monotonic() + 20
        while not self.goes_on.wait(0.01) and time.monotonic() < deadline:
            try:
                pace(1)
            except Exception:
                self.given_up.append(path)
                raise

    async def begins(self, path: str) -> None:
        async with asyncio.timeout(20):
            while path not in self.reading:  # noqa: ASYNC110 - a thread reads
                await asyncio.sleep(0.01)

    async def gives_up(self, path: str) -> None:
        async with asyncio.timeout(20):
            while path not in self.given_up:  # noqa: ASYNC110 - a thread reads
                await asyncio.sleep(0.01)


async def told(call: Call, *wanted: str) -> dict[str, bool]:
    """All that is told until these have been."""
    heard: dict[str, bool] = {}
    while not heard.keys() >= set(wanted):
        message = await call.hear()
        heard.update(paths([message] if isinstance(message, Report) else []))
    return heard


async def looked(call: Call) -> dict[str, bool]:
    """All that is told until all has been looked at."""
    heard: dict[str, bool] = {}
    while not isinstance(message := await call.hear(), wire.Scanned):
        heard.update(paths([message] if isinstance(message, Report) else []))
    return heard


def test_while_a_large_file_is_read_all_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    write(root, {b"large": large("x"), b"larger": large("xy"), b"one": b"1", b"two": b"2"})
    disk = Disk(monkeypatch)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            assert await told(call, "one", "two") == {"one": True, "two": True}
            (root / "one").unlink()
            (root / "two").rename(root / "renamed")
            (root / "new").write_bytes(b"new")
            assert await told(call, "one", "two", "renamed", "new") == {
                "one": False, "two": False, "renamed": True, "new": True,
            }  # fmt: skip
            assert len(disk.reading) == 1, "one after the other"
            call.say(wire.Rescan())
            disk.goes_on.set()
            assert await looked(call) == {"large": True, "larger": True}, "all that was found by then"
            assert len(disk.reading) == 2
            assert len(disk.threads) == 1

    asyncio.run(story())


def test_what_is_read_and_changes_or_goes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    write(root, {b"first": large("1")})
    disk = Disk(monkeypatch)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            await disk.begins("first")
            (root / "first").rename(root / "second")
            await disk.gives_up("first")
            await disk.begins("second")
            (root / "second").write_bytes(large("changed"))
            await disk.gives_up("second")
            disk.goes_on.set()
            assert await told(call, "second") == {"second": True}

    asyncio.run(story())


def test_who_is_hung_up_on_in_the_middle_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is left of the reading that was under way."""
    write(tmp_path / "root", {b"large": large("x"), b"small": b"small"})
    disk = Disk(monkeypatch)
    closed: list[int] = []
    really = LocalStorage.close

    def close(storage: LocalStorage) -> None:
        closed.append(threading.get_ident())
        really(storage)

    monkeypatch.setattr(LocalStorage, "close", close)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            await disk.begins("large")
            call.hang_up()
            await disk.gives_up("large")
            call = await server.met()
            async with asyncio.timeout(20):
                while not disk.threads <= set(closed):  # noqa: ASYNC110 - by the thread that used it
                    await asyncio.sleep(0.01)
            disk.goes_on.set()
            call.set_up()
            assert await told(call, "large") == {"small": True, "large": True}

    asyncio.run(story())


def test_a_large_file_that_is_renamed_is_not_sent_again(sqlite_url: str, tmp_path: Path) -> None:
    """By real processes, and of a real size."""

    async def story(h: House) -> None:
        a, b = h.folders["A"], h.folders["B"]
        inode = (b / "large").stat().st_ino
        (a / "large").rename(a / "folder/large")
        (a / "folder").rename(a / "moved")
        found = await h.equal(seconds=10)
        assert set(found) == {b"moved/small", b"moved/large"}
        assert (b / "moved/large").stat().st_ino == inode
        assert list((b / ".undercroft/versions").iterdir()) == []

    async def whole() -> None:
        for name in "AB":
            write(tmp_path / name, {b"folder/small": b"small", b"large": b""})
            os.truncate(tmp_path / name / "large", noticing.LARGE)
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A", "B")
            await h.share()
            await story(h)

    asyncio.run(whole())
