"""Those who read files of an SFTP server have a few connections in common, which come and go as they are needed."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.services.sshd import Sshd
from tests.services.waiting import until, wait_until
from undercroft.families.sync.storages import SharedLines, Storage, open_storage, shared_lines
from undercroft.families.sync.storages.errors import SourceLost
from undercroft.families.sync.storages.shared_lines import MOST, Opened
from undercroft.families.sync.storages.storage import Source

CONTENT = {name: os.urandom(2_500_000) for name in "abcdefg"}
Read = Callable[[str], Source]


@pytest.fixture
def read(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Opens a file as somebody else does each time."""
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    lines = SharedLines()
    with ExitStack() as stack:

        def opened(name: str) -> Source:
            storage: Storage = open_storage(("sftp", sshd.options(tmp_path)), lines=lines)
            stack.callback(storage.close)
            source = storage.open_source(name)
            stack.callback(source.close)
            really_close = source.close

            def close() -> None:
                really_close()
                storage.close()

            source.close = close  # type: ignore[method-assign]
            return source

        yield opened
        monkeypatch.setattr(shared_lines, "KEPT", 0.0)
    wait_until(lambda: not connections(sshd), "all to be closed")


def connections(server: Sshd) -> set[int]:
    """Ports of this process that lead there."""
    found = psutil.Process().net_connections()
    return {one.laddr.port for one in found if one.raddr and one.raddr.port == server.port}


def test_any_number_of_readers_share_a_few_which_then_go(
    read: Read, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_lines, "KEPT", 0.05)
    sources = {name: read(name) for name in CONTENT}
    got = dict.fromkeys(CONTENT, b"")
    left = set(CONTENT)
    while left:
        for name in sorted(left):  # in turns
            block = sources[name].read(300_000)
            got[name] += block
            left -= set() if block else {name}
    assert got == CONTENT
    assert len(connections(sshd)) == MOST
    for source in sources.values():
        source.close()
    wait_until(lambda: not connections(sshd), "all to be closed")
    assert read("a").read(10) == CONTENT["a"][:10]


def test_one_after_the_other_has_the_same_one(read: Read, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_lines, "KEPT", 1_000.0)
    ports = set()
    for name in "abc":
        source = read(name)
        assert source.read(10) == CONTENT[name][:10]
        ports |= connections(sshd)
        source.close()
    read("d").read(10)
    assert len(ports | connections(sshd)) == 1


def test_one_that_was_cut_is_replaced_and_whoever_read_leaves_the_new_one_alone(
    read: Read, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_lines, "KEPT", 1_000.0)
    monkeypatch.setattr(shared_lines, "MOST", 1)
    kept, cut = read("a"), read("b")
    assert kept.read(10) and cut.read(10)
    cut_off(sshd)
    with pytest.raises(SourceLost):
        while cut.read(2**20):
            pass

    anew = read("c")
    first = anew.read(10)
    with pytest.raises(SourceLost):
        while kept.read(2**20):
            pass
    kept.close()
    cut.close()
    assert first + b"".join(iter(lambda: anew.read(2**20), b"")) == CONTENT["c"]
    anew.close()

    cut_off(sshd)
    assert read("d").read(10) == CONTENT["d"][:10], "one that nobody used"


def cut_off(server: Sshd) -> None:
    assert server._process is not None
    for one in psutil.Process(server._process.pid).children(recursive=True):
        one.kill()


# Against connections that are none


class Place:
    """`made` counts connections; it makes none while it is `held`."""

    def __init__(self) -> None:
        self.made = self.closed = 0
        self.is_alive = True
        self.held = asyncio.Event()
        self.held.set()
        self.fails = False

    async def connect(self) -> Opened:
        self.made += 1
        await self.held.wait()
        if self.fails:
            raise ConnectionRefusedError
        return Opened(self.made, self._probe, self._close)

    async def _probe(self) -> None:
        if not self.is_alive:
            await asyncio.sleep(1_000)

    def _close(self) -> None:
        self.closed += 1


def test_one_that_says_nothing_any_more_is_replaced_but_not_where_somebody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_lines, "ALIVE_WITHIN", 0.01)
    monkeypatch.setattr(shared_lines, "MOST", 1)

    async def story() -> None:
        lines, place = SharedLines(), Place()
        first = await lines.join("x", place.connect)
        place.is_alive = False
        second = await lines.join("x", place.connect)
        assert (place.made, place.closed) == (1, 0), "a slow one would be taken for a dead one"
        for one in (first, second):
            await lines.leave(one)
        third, fourth = [await lines.join("x", place.connect) for _ in range(2)]
        assert (third.opened.client, place.made, place.closed) == (2, 2, 1)

        await lines.end(third)
        fifth = await lines.join("x", place.connect)
        await lines.end(fourth)
        sixth = await lines.join("x", place.connect)
        assert fifth.opened is sixth.opened, "only the old one is broken"
        assert fifth.opened.client == place.made == 3

        other = Place()
        await lines.join("y", other.connect)
        assert (other.made, place.made) == (1, 3)

    asyncio.run(story())


def test_who_waits_for_the_same_one_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_lines, "KEPT", 0.0)

    async def story() -> None:
        lines, place = SharedLines(), Place()
        place.held.clear()
        place.fails = True
        asked = [asyncio.create_task(lines.join("x", place.connect)) for _ in range(2 * MOST)]
        await until(lambda: place.made == MOST, "so many to be tried")
        asked[0].cancel()
        place.held.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in told] == [asyncio.CancelledError] + [ConnectionRefusedError] * (2 * MOST - 1)
        await until(lambda: not lines._lines, "nothing to be left of it")
        place.fails = False
        last = await lines.join("x", place.connect)
        assert last.opened.client == MOST + 1

        await lines.leave(last)
        assert (await lines.join("x", place.connect)).opened is last.opened
        assert place.closed == 0, "it is used again"

    asyncio.run(story())
