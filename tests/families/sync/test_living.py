"""What a worker does when servers come, go and hang up. It is in this process; the test is the server."""

import asyncio
import errno
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from blake3 import blake3

from tests.families.sync.called import Call, serving
from undercroft.families.sync import wire
from undercroft.families.sync.operations import Put
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.worker import __main__ as program
from undercroft.families.sync.worker import noticing, pages
from undercroft.families.sync.worker.watching import NOT_WATCHED_AT_ALL

TOO_LONG_TO_BE_READ = 2**40


def is_open(path: Path) -> bool:
    links = Path("/proc/self/fd")
    return any(link.exists() and link.samefile(path) for link in links.iterdir())


def test_who_hashes_hears_that_the_server_has_hung_up(tmp_path: Path) -> None:
    """In the middle of a file that takes hours."""
    (tmp_path / "root").mkdir()
    endless = tmp_path / "root/endless"
    with endless.open("wb") as file:
        file.truncate(TOO_LONG_TO_BE_READ)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            async with asyncio.timeout(20):
                while not is_open(endless):  # noqa: ASYNC110 - the worker has nothing to say meanwhile
                    await asyncio.sleep(0.01)
            call.hang_up()
            await server.met()
            async with asyncio.timeout(20):
                while is_open(endless):  # noqa: ASYNC110 - a thread closes it
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_disk_that_does_not_answer_keeps_nobody_from_coming_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a disk is played: its folders are listed for as long as the test wants."""
    asked, answers = threading.Event(), threading.Event()
    closed: list[str] = []

    def walk(*_: Any) -> Any:
        asked.set()
        answers.wait(20)
        return iter(())

    def close(storage: LocalStorage) -> None:
        closed.append(threading.current_thread().name)
        really(storage)

    really = LocalStorage.close
    monkeypatch.setattr(LocalStorage, "walk", walk)
    monkeypatch.setattr(LocalStorage, "close", close)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            assert await asyncio.to_thread(asked.wait, 10)
            call.hang_up()
            await server.met()
            answers.set()
            async with asyncio.timeout(20):
                while len(closed) < len(("small ones", "large ones", "read aside", "looked at")):  # noqa: ASYNC110 - a thread closes it
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_what_took_long_to_read_is_told_before_more_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "TELL_AFTER", -1.0)
    (tmp_path / "root").mkdir()
    for number in range(3):
        (tmp_path / f"root/{number}").write_bytes(b"x")
    told: list[list[Seen]] = []

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            while not isinstance(message := await call.hear(), wire.Scanned):
                told.extend([message.seen] if isinstance(message, wire.Report) else [])

    asyncio.run(story())
    assert [len(seen) for seen in told] == [1, 1, 1]


def test_who_is_not_served_tries_again_now_and_then_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a server that wants this entry to stand still, and has not ended its process."""
    monkeypatch.setattr(program, "PATIENCE", 3.0)
    monkeypatch.setattr(program, "AGAIN", 1.0)
    now = 0.0
    came: list[float] = []

    async def rest(seconds: float) -> None:
        nonlocal now
        now += seconds

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(now)
        writer.close()

    connect = asyncio.open_unix_connection
    monkeypatch.setattr(program, "asyncio", SimpleNamespace(sleep=rest, open_unix_connection=connect))
    monkeypatch.setattr(program, "time", SimpleNamespace(monotonic=lambda: now))

    async def story() -> None:
        server = await asyncio.start_unix_server(hang_up, "sock")
        async with asyncio.timeout(20):
            assert await program.live(tmp_path / "sock", "B") == 0
        server.close()

    monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 bytes only
    asyncio.run(story())
    assert came == [0.0, 1.0, 2.0]


def test_where_another_entry_keeps_its_files_is_heard_without_hanging_up(tmp_path: Path) -> None:
    """A new entry's files are fetched from it, and those of one that has moved from where they are now."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(name.encode())

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            assert (await _fetched(call, 1, b"old")).failed[0].expected, "nobody has told of A"
            for number, content in enumerate((b"old", b"new"), start=2):
                own = {"B": ("local_storage", {"root": str(tmp_path / "root")})}
                root = str(tmp_path / content.decode())
                call.say(wire.Storages({**own, "A": ("local_storage", {"root": root})}))
                assert [one.seen.path for one in (await _fetched(call, number, content)).settled] == [f"f{number}"]
                assert (tmp_path / f"root/f{number}").read_bytes() == content

    asyncio.run(story())


def test_where_the_machine_takes_no_more_watchers_it_is_looked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is the machine's, for all of this user's processes: it is played."""

    def full() -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(noticing, "Inotify", full)
    monkeypatch.setattr(noticing, "UNWATCHED_EVERY", 0.05)
    monkeypatch.setattr(noticing, "QUIET_FAR", 0.05)

    async def told(call: Call, kind: type[wire.Message]) -> Any:
        while not isinstance(message := await call.hear(), kind):
            assert message is not None, "the worker has hung up"
        return message

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            assert (await told(call, wire.Skipped)).skipped == [("/", NOT_WATCHED_AT_ALL)]
            (tmp_path / "root/f").write_bytes(b"x")
            assert [seen.path for seen in (await told(call, wire.Report)).seen] == ["f"]
            (tmp_path / "root/f").unlink()
            [gone] = (await told(call, wire.Report)).seen
            assert (gone.path, gone.content) == ("f", None)

    asyncio.run(story())


async def _fetched(call: Call, number: int, content: bytes) -> wire.Done:
    about = Content(blake3(content).hexdigest(), len(content), number, 0o644)
    call.say(wire.Do([Put(f"f{number}", number, about, "", "", (("A", "f"),))], [], []))
    while not isinstance(message := await call.hear(), wire.Done):
        assert message is not None, "the worker has hung up"
    return message
