"""A worker's process by itself: this test is the server that it talks to."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from undercroft.families.sync import wire
from undercroft.families.sync.operations import Delete, Move, Put
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.worker import __main__ as program
from undercroft.families.sync.worker.serving import Worker

Story = Callable[["Talk"], Awaitable[None]]


class Talk:
    """With the worker of entry B, whose folder is `b`; what it needs lies in A's, `a`."""

    def __init__(self, folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.a, self.b = folder / "a", folder / "b"
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToServer)

    async def set_up(self, **options: Any) -> None:
        assert isinstance(await self.hear(), wire.Hello)
        storages = {
            name: ("local_storage", {"root": str(root), **options}) for name, root in (("A", self.a), ("B", self.b))
        }
        self.say(wire.Setup("B", storages, 0, {"A": "A 1", "B": "B 1"}))
        self.say(wire.Known([], True))
        self.say(wire.KnownKept([], True))
        while not isinstance(await self.hear(), wire.Scanned):
            pass

    def hang_up(self) -> None:
        self._writer.close()

    def say(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))

    async def hear(self) -> Any:
        return await asyncio.wait_for(wire.receive(self._reader, self._decoder), 20)

    async def hear_until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """All up to the message that is wanted, and that one."""
        heard = [await self.hear()]
        while not wanted(heard[-1]):
            heard.append(await self.hear())
        return heard

    def put(self, name: str, content: bytes, version: int, base: str = "") -> Put:
        (self.a / name).write_bytes(content)
        about = Content(blake3(content).hexdigest(), len(content), version, 0o644)
        return Put(name, version, about, base, "", (("A", name),))


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    def run(story: Story) -> None:
        async def whole() -> None:
            async with _talk(tmp_path) as talk:
                await talk.set_up()
                await story(talk)

        asyncio.run(whole())

    return run


@contextlib.asynccontextmanager
async def _talk(folder: Path) -> AsyncIterator[Talk]:
    for name in "ab":
        (folder / name).mkdir()
    met: asyncio.Future[Talk] = asyncio.get_running_loop().create_future()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result(Talk(folder, reader, writer))

    descriptor = os.open(folder, os.O_RDONLY)  # the path of a socket may have 107 bytes only
    server = await asyncio.start_unix_server(meet, f"/proc/self/fd/{descriptor}/sock")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", Worker.__module__.rpartition(".")[0],
                                                   str(folder / "sock"), "B")  # fmt: skip
    try:
        yield await asyncio.wait_for(met, 20)
    finally:
        process.kill()
        await process.wait()
        if met.done():
            met.result().hang_up()
        server.close()
        os.close(descriptor)


def test_a_result_is_told_before_any_change_that_comes_after_it(tell: Callable[[Story], None]) -> None:
    """Somebody changes each file in the moment in which it gets its name: what was put there is told first."""

    async def story(talk: Talk) -> None:
        for number in range(40):
            name = f"f{number}"
            talk.say(wire.Do([talk.put(name, b"from A", 5)], [], []))
            path = talk.b / name
            while not path.exists():  # noqa: ASYNC110 - a moment matters here
                await asyncio.sleep(0)
            with path.open("r+b") as file:  # in one step, as many bytes as before
                file.write(b"FROM B")
            heard = await talk.hear_until(lambda message, name=name: _is_report(message, name))
            assert any(isinstance(message, wire.Done) for message in heard), "the report came before the result"
            [done] = [message for message in heard if isinstance(message, wire.Done)]
            assert done.settled[0].seen.content.hash == blake3(b"from A").hexdigest()
            [seen] = heard[-1].seen
            assert seen.content.hash == blake3(b"FROM B").hexdigest()

    tell(story)


def test_what_an_operation_meets_is_told(tell: Callable[[Story], None]) -> None:
    """The server takes a file for another than it is: it hears what it is, although nothing has changed just now."""

    async def story(talk: Talk) -> None:
        (talk.b / "f").write_bytes(b"mine")
        [first] = (await talk.hear_until(lambda message: _is_report(message, "f")))[-1].seen
        talk.say(wire.Do([talk.put("f", b"from A", 5, base="of long ago")], [], []))
        heard = await talk.hear_until(lambda message: _is_report(message, "f"))
        [done] = [message for message in heard if isinstance(message, wire.Done)]
        assert [(failed.path, failed.expected) for failed in done.failed] == [("f", True)]
        assert heard[-1].seen == [first]
        talk.say(wire.Do([], [], [Delete("never there", 6, "of long ago")]))
        heard = await talk.hear_until(lambda message: _is_report(message, "never there"))
        assert heard[-1].seen[0].content is None
        assert (talk.b / "f").read_bytes() == b"mine"

    tell(story)


def test_what_arrived_in_part_is_nobody_s_when_nothing_is_behind(tell: Callable[[Story], None]) -> None:
    async def story(talk: Talk) -> None:
        left = talk.b / ".undercroft/incoming/0123-left by a kill"
        left.write_bytes(b"part")
        talk.say(wire.Do([talk.put("f", b"from A", 5)], [], []))
        await talk.hear_until(lambda message: isinstance(message, wire.Done))
        assert left.exists(), "it may be gone on with"
        async with asyncio.timeout(20):
            while left.exists():  # said again: the task of the one before may not have ended
                talk.say(wire.InStep())
                await asyncio.sleep(0.01)
        assert (talk.b / "f").read_bytes() == b"from A"

    tell(story)


def test_what_is_changed_while_it_is_moved_or_deleted_stays(tell: Callable[[Story], None]) -> None:
    """The server knows of another revision: neither takes a content away that nobody has told of."""

    async def story(talk: Talk) -> None:
        (talk.b / "f").write_bytes(b"one")
        [old] = (await talk.hear_until(lambda message: _is_report(message, "f")))[-1].seen
        (talk.b / "f").write_bytes(b"two")
        talk.say(wire.Do([], [Move("g", 6, old.content, "f", 7, old.revision)], []))
        talk.say(wire.Do([], [], [Delete("f", 7, old.revision)]))
        heard: list[Any] = []
        while sum(isinstance(message, wire.Done) for message in heard) < 2:
            heard.append(await talk.hear())
        assert not any(message.settled for message in heard if isinstance(message, wire.Done))
        assert (talk.b / "f").read_bytes() == b"two"
        assert not (talk.b / "g").exists()

    tell(story)


def test_who_is_in_the_way_is_named(tell: Callable[[Story], None]) -> None:
    async def story(talk: Talk) -> None:
        (talk.b / "file").write_bytes(b"1")
        (talk.b / "folder").mkdir()
        (talk.b / "folder/inner").write_bytes(b"2")
        told: set[str] = set()
        while not {"file", "folder/inner"} <= told:
            message = await talk.hear()
            told |= {seen.path for seen in getattr(message, "seen", [])}
        (talk.a / "file").mkdir()
        talk.say(wire.Do([talk.put("file/x", b"3", 5), talk.put("folder", b"4", 5)], [], []))
        [*_, done] = await talk.hear_until(lambda message: isinstance(message, wire.Done))
        assert {(failed.path, failed.by) for failed in done.failed} == {
            ("file/x", "file"),
            ("folder", "folder/inner"),
        }

    tell(story)


def test_who_is_refused_comes_back_after_a_pause_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's part of it in this process: the server refuses whatever it says."""
    monkeypatch.setattr(program, "FIRST_PAUSE", 0.03)
    came: list[float] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        writer.write(wire.packed(wire.Refused()))
        await reader.read()
        writer.close()

    async def whole() -> None:
        server = await asyncio.start_unix_server(refuse, "sock")
        living = asyncio.create_task(program.live(tmp_path / "sock", "B"))
        async with asyncio.timeout(20):
            while len(came) < 4:  # noqa: ASYNC110 - another process would
                await asyncio.sleep(0.01)
        living.cancel()
        server.close()

    monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 bytes only
    asyncio.run(whole())
    pauses = [later - earlier for earlier, later in itertools.pairwise(came)]
    assert all(pause > 0.03 * 2**n for n, pause in enumerate(pauses)), pauses


def test_a_report_that_can_not_be_sent_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be lost for good: what was told once is not told again. The worker's part of it in this process."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/f").write_bytes(b"content")
    really = wire.packed

    def packed(message: wire.Message) -> bytes:
        if isinstance(message, wire.Report):
            raise OverflowError("a number that no message holds")
        return really(message)

    async def whole() -> None:
        theirs, ours = [await asyncio.open_unix_connection(sock=end) for end in socket.socketpair()]
        storages = {"B": ("local_storage", {"root": str(tmp_path / "root")})}
        for message in (wire.Setup("B", storages, 0, {"B": "B 1"}), wire.Known([], True), wire.KnownKept([], True)):
            ours[1].write(really(message))
        monkeypatch.setattr(wire, "packed", packed)
        async with asyncio.timeout(20):
            with pytest.raises(OverflowError):
                await Worker(*theirs, "B", tmp_path / "spool").run()
        for _, writer in (theirs, ours):
            writer.close()

    asyncio.run(whole())


def test_what_is_to_be_done_waits_for_the_root_and_keeps_nothing_else_waiting(tmp_path: Path) -> None:
    """A storage that can't be reached is not written to: what is to be restored or dropped waits. The end is heard."""

    async def whole() -> None:
        async with _talk(tmp_path) as talk:
            assert isinstance(await talk.hear(), wire.Hello)
            away = {"hostname": "127.0.0.1", "port": 1, "username": "u", "password": "p", "host_key": "SHA256:AAAA"}
            talk.say(wire.Setup("B", {"B": ("sftp", away)}, 0, {"B": "B 1"}))
            talk.say(wire.Known([], True))
            talk.say(wire.KnownKept([], True))
            talk.say(wire.Restore("f", "place", 1))
            talk.say(wire.Drop(["place"]))
            assert isinstance(await talk.hear(), wire.Away)
            talk.say(wire.Refused())
            heard = await talk.hear_until(lambda message: message is None)
            assert not any(isinstance(message, wire.Done) for message in heard)

    asyncio.run(whole())


def test_a_large_restore_keeps_nothing_small_waiting(tmp_path: Path) -> None:
    async def whole() -> None:
        async with _talk(tmp_path) as talk:
            await talk.set_up(bandwidth=2**20)
            kept = talk.b / ".undercroft/versions/place"
            kept.write_bytes(b"x" * 20 * 2**20)
            talk.say(wire.Restore("large", "place", 20 * 2**20))
            await talk.hear_until(lambda message: isinstance(message, wire.Moving))
            talk.say(wire.Do([talk.put("small", b"small", 1)], [], []))
            heard = await talk.hear_until(lambda message: isinstance(message, wire.Done))
            assert [one.seen.path for one in heard[-1].settled] == ["small"]

    asyncio.run(whole())


def _is_report(message: Any, name: str) -> bool:
    return isinstance(message, wire.Report) and any(seen.path == name for seen in message.seen)
