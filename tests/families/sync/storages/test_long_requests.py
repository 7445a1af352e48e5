"""What takes its time arrives; what stalls, or is never answered, is given up."""

import contextlib
import io
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Bytes, Kind, contents, wanted, write
from tests.services.apache import Apache
from tests.services.waiting import wait_until
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages import asking, long_requests, webdav_client
from undercroft.families.sync.storages.asking import Asking
from undercroft.families.sync.storages.errors import is_cut
from undercroft.families.sync.storages.long_requests import LongRequests, Outgoing, answer_within, cut, paced_blocks
from undercroft.families.sync.storages.webdav_client import WebdavClient

MIB = 2**20
Behave = Callable[[socket.socket, bytes], None]


@pytest.fixture
def far(apache: Apache) -> Iterator[Kind]:
    kind = kinds.webdav(apache)
    yield kind
    kind.close()


@pytest.fixture
def asked() -> Iterator[LongRequests]:
    requests = LongRequests(ClientBuilder)
    yield requests
    requests.close()


@pytest.fixture
def listen() -> Iterator[Callable[[Behave], str]]:
    """A server that does with a connection whatever a test likes, once a request's head has come: its address."""
    with contextlib.ExitStack() as stack:

        def start(behave: Behave) -> str:
            class Handler(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += self.request.recv(1)
                    with contextlib.suppress(OSError):
                        behave(self.request, head)

            class Server(socketserver.ThreadingTCPServer):
                daemon_threads = True
                block_on_close = False

                def server_bind(self) -> None:
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
                    super().server_bind()

            server = stack.enter_context(Server(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/"

        yield start


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (long_requests, asking):
        monkeypatch.setattr(module, "SILENCE", timedelta(seconds=0.7))
    monkeypatch.setattr(long_requests, "TAKEN_WITHIN", timedelta(seconds=1))
    monkeypatch.setattr(webdav_client, "ANSWER_WITHIN", timedelta(seconds=2))


def took(call: Callable[[], Any], error: type[BaseException]) -> float:
    began = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - began


def take(connection: socket.socket, size: int, rate: int) -> None:
    """So many bytes a second."""
    while size > 0 and (block := connection.recv(min(size, MIB // 4))):
        size -= len(block)
        time.sleep(len(block) / rate)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nyes"


def test_webdav_takes_what_is_longer_on_its_way_than_an_answer_may_be_and_nobody_else_waits(
    far: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_requests, "SILENCE", timedelta(seconds=20))  # this machine may be silent for a while
    storage, other = far.open(), far.open()
    storage.check(0)
    content = os.urandom(MIB)
    put = wanted("f", content)
    paces, looks = [], []

    def pace(done: int) -> None:
        if done > 0 and done not in paces:
            paces.append(done)
            began = time.monotonic()
            other.look("f")
            looks.append(time.monotonic() - began)
            time.sleep(0.3)

    token = storage.receive(put, Bytes(content), pace)
    began = time.monotonic()
    storage.put_in_place(put, token)
    assert time.monotonic() - began > webdav_client.ANSWER_WITHIN.total_seconds()
    assert paces[-1] == len(content)
    assert sorted(looks)[len(looks) // 2] < 0.25
    assert contents(storage) == {"f": content}


def test_bytes_leave_while_others_are_waited_for(listen: Callable[[Behave], str], asked: LongRequests) -> None:
    came: list[bytes] = []

    def note(connection: socket.socket, head: bytes) -> None:
        came.append(b"head")
        while came.count(b"x") < 4:
            came.append(connection.recv(4))
        connection.sendall(OK)

    def slow() -> Iterator[bytes]:
        for sent in range(4):
            wait_until(lambda sent=sent: len(came) > sent, "all that was sent before to have come", 10)
            yield b"x"

    told = asked.ask(asked.request("PUT", listen(note)), Outgoing(slow(), 4), 4, 100)
    assert (told.status, told.body) == (200, b"ye")
    assert came == [b"head", b"x", b"x", b"x", b"x"]


def test_s3_takes_a_part_that_is_longer_on_its_way_than_an_answer_may_be(listen: Callable[[Behave], str]) -> None:
    """On a slow line; before its last bytes are through no clock runs."""

    def slowly(connection: socket.socket, head: bytes) -> None:
        take(connection, 16 * MIB, 8 * MIB)
        take(connection, 8 * MIB, 1_000 * MIB)  # what is left when all was handed over is waited for
        connection.sendall(OK)

    asks = Asking()
    began = time.monotonic()
    answer = asks.ask("PUT", listen(slowly), {"x": "y"}, bytearray(24 * MIB))
    assert (answer.status, answer.body) == (200, b"ye")
    assert time.monotonic() - began > 2 * asking.SILENCE.total_seconds()
    asks.close()


@pytest.mark.parametrize(("clock", "error"), [("TAKEN_WITHIN", PyreqwestError), ("SILENCE", TimeoutError)])
def test_what_stalls_is_given_up(
    listen: Callable[[Behave], str],
    asked: LongRequests,
    monkeypatch: pytest.MonkeyPatch,
    clock: str,
    error: type[Exception],
) -> None:
    """By the machine, that knows what was taken; where it can't tell, because no more is asked for."""
    for other in {"TAKEN_WITHIN", "SILENCE"} - {clock}:
        monkeypatch.setattr(long_requests, other, timedelta(seconds=60))
    over = threading.Event()
    url = listen(lambda connection, head: over.wait(20) and None)
    body = bytes(24 * MIB)
    seconds = took(lambda: asked.ask(asked.request("PUT", url), Outgoing(cut(body), len(body)), 0), error)
    over.set()
    assert seconds < 15, "the other clock, and the server, would have taken longer"


def test_an_answer_is_waited_for_as_long_as_the_work_may_take(
    listen: Callable[[Behave], str], asked: LongRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_requests, "SLOWEST_WORK", MIB)
    given_up = threading.Event()

    def late(connection: socket.socket, head: bytes) -> None:
        connection.recv(1 if b"content-length: 1" in head.lower() else 0)
        time.sleep(1.2)
        connection.sendall(OK)

    def never(connection: socket.socket, head: bytes) -> None:
        given_up.wait(20)

    def ask(url: str, work: int) -> long_requests.Told:
        return asked.ask(asked.request("PUT", url), Outgoing([b"x"], 1), work)

    there, silent = listen(late), listen(never)
    assert ask(there, 10 * MIB).status == 200
    assert took(lambda: ask(silent, 0), TimeoutError) > 0.6
    asks = Asking()
    assert took(lambda: asks.ask("PUT", silent, {}, b"x"), TimeoutError) > 0.6
    assert asks.ask("PUT", there, {}, b"", 10 * MIB).status == 200
    given_up.set()
    asks.close()


def test_how_long_that_is() -> None:
    day = timedelta(days=1)
    at_rest = long_requests.SILENCE
    assert [answer_within(size) for size in (0, 2**30, 2**40)] == [at_rest, at_rest + timedelta(seconds=1_024), day]


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_server_that_stands_still_is_left_at_once_or_in_time(
    apache: Apache, far: Kind, monkeypatch: pytest.MonkeyPatch, is_wanted: bool
) -> None:
    """With all that was sent, and no answer."""
    storage = far.open()
    storage.check(0)
    if not is_wanted:
        monkeypatch.setattr(long_requests, "SILENCE", timedelta(seconds=60))
    put = wanted("f", b"content")
    group = apache._process.pid if apache._process else 0
    whole = []

    def pace(done: int) -> None:
        if whole and not is_wanted:
            raise ConnectionAbortedError("the server has hung up")
        if done == 7:
            whole.append(done)
            os.killpg(group, signal.SIGSTOP)
            wait_until(lambda: _stands_still(group), "Apache to stand still")

    token = storage.receive(put, Bytes(b"content"), pace)
    began = time.monotonic()
    try:
        with pytest.raises(ConnectionAbortedError if not is_wanted else TimeoutError) as told:
            storage.put_in_place(put, token)
    finally:
        os.killpg(group, signal.SIGCONT)
    assert time.monotonic() - began < 30, "who waits for an answer would have waited for longer"
    assert not is_wanted or ("did not answer in time" in str(told.value) and is_cut(told.value))


def _stands_still(group: int) -> bool:
    """Every thread of a process group."""
    threads = [_fields(path) for path in Path("/proc").glob("[0-9]*/task/*/stat")]
    return all(state == "T" for state, _, of, *_ in filter(None, threads) if of == str(group))


def _fields(stat: Path) -> list[str]:
    """None of a thread that has ended meanwhile."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


@pytest.mark.parametrize("is_there", ["whole", "in part", "not"])
@pytest.mark.parametrize("keep_as", ["", "kept"])
def test_a_copy_that_was_given_up_leaves_no_other(
    apache: Apache, far: Kind, monkeypatch: pytest.MonkeyPatch, is_there: str, keep_as: str
) -> None:
    storage = far.open()
    storage.check(0)
    root = Path(apache.files / far.options["root"])
    first = write(storage, "f", b"before").revision
    really, copied = WebdavClient.do, []

    def do(client: WebdavClient, method: str, name: str, headers: dict[str, str], *more: Any) -> Any:
        if method != "COPY":
            return really(client, method, name, headers, *more)
        copied.append(headers["destination"])
        if is_there != "not":
            really(client, method, name, headers, *more)
        if is_there == "in part":
            os.truncate(root / OWN_FOLDER / headers["destination"].partition(f"/{OWN_FOLDER}/")[2], 3)
        raise TimeoutError("it takes too long")

    with monkeypatch.context() as slow:
        slow.setattr(WebdavClient, "do", do)
        for _ in range(1 if is_there == "whole" else 3):
            with pytest.raises(TimeoutError):
                write(storage, "f", b"after", first, keep_as)
    placed = write(storage, "f", b"after", first, keep_as)
    assert len(set(copied)) == 1
    assert placed.replaced
    kept = f"{OWN_FOLDER}/versions/{placed.replaced.place}" if placed.replaced.place else placed.replaced.kept_as
    assert (root / kept).read_bytes() == b"before"
    assert (root / "f").read_bytes() == b"after"
    assert len([path for path in root.rglob("*") if path.is_file()]) == 3, "with the mark"


def test_blocks_are_small_where_each_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(long_requests.time, "monotonic", lambda: now)

    def sizes(rate: int) -> list[int]:
        source = io.BytesIO(bytes(4 * MIB))

        def read(size: int) -> bytes:
            nonlocal now
            now += size / rate
            return source.read(size)

        found = [len(block) for block in paced_blocks(read)]
        assert sum(found) == 4 * MIB
        return found

    assert max(sizes(2**40)) == long_requests.LARGEST_BLOCK
    assert {round(size, -2) for size in sizes(20_000)[1:-1]} == {10_000}
    assert set(sizes(1_000)[1:-1]) == {long_requests.SMALLEST_BLOCK}
