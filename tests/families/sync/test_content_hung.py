"""Content of an entry whose server hangs or is away: who asks for it waits or is told so, and nobody else."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.families.sync.example import API, Example, refused
from tests.services.croft import Croft
from tests.services.sshd import Sshd, find_sshd
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.storages.shared_lines import MOST
from undercroft.families.sync.threads import MOST_OF_ONE

FAR = f"{API}/files/{fid_of('far')}/content"
NEAR = f"{API}/files/{fid_of('near')}/content"
BYTES = os.urandom(500_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    """One of its own: it is stopped and killed here."""
    program = find_sshd()
    if program is None:
        pytest.skip("sshd not found: apt-get install openssh-server")
    sshd = Sshd(program)
    sshd.start()
    yield sshd
    sshd.remove()


@pytest.fixture(scope="module")
def example(server: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Entry A of this machine holds `near`, entry R on the server holds `far`; nobody else does."""
    folder = tmp_path_factory.mktemp("hung")
    croft = Croft(folder / "croft", environment={"UNDERCROFT_SHUTDOWN_GRACE": "0.5"})
    croft.start()
    try:
        example = Example(croft, folder / "example", ("A",))
        far = folder / "far"
        far.mkdir()
        (far / "far").write_bytes(BYTES)
        options = {**server.options(far), "changes_timer": 1}
        added = example.call("POST", "/entries", json={"name": "R", "driver": "sftp", "options": options})
        assert added.status_code == 201, added.text
        example.write("A", "near", b"here")
        for name, entry, size in (("near", "A", 4), ("far", "R", len(BYTES))):
            wait_until(lambda name=name: "uptodate" in example.file(name), f"{name} to be found")
            example.wait_for(name, [entry], size)
        assert croft.http.get(FAR).content == BYTES
        yield example
    finally:
        croft.close()


@contextmanager
def hanging(server: Sshd) -> Iterator[None]:
    """It takes connections and says nothing."""
    assert server._process is not None
    all_of_it = [server._process.pid]
    all_of_it += [child.pid for child in psutil.Process(server._process.pid).children(recursive=True)]
    for pid in all_of_it:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in all_of_it:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGCONT)


def connections(croft: Croft, server: Sshd) -> int:
    """Of the house itself to that server."""
    found = psutil.Process(croft.pid).net_connections()
    return len([one for one in found if one.raddr and one.raddr.port == server.port])


def test_who_hangs_keeps_waiting_those_alone_who_want_its_files(server: Sshd, example: Example) -> None:
    croft = example.croft
    with httpx.Client(base_url=croft.url, headers=croft.http.headers, timeout=60, trust_env=False) as others:
        with ThreadPoolExecutor(MOST_OF_ONE + 1) as readers:
            with hanging(server):
                asked: list[Future[httpx.Response]] = [readers.submit(others.get, FAR) for _ in range(MOST_OF_ONE + 1)]
                wait_until(lambda: any(one.done() for one in asked), "as many to wait as may")
                waiting = [one for one in asked if not one.done()]
                assert len(waiting) == MOST_OF_ONE

                assert croft.http.get(NEAR, timeout=20).content == b"here"
                assert croft.http.get("/dashboard/files", timeout=20).status_code == 200
                one_more = croft.http.get(FAR, timeout=20)
                assert one_more.headers["retry-after"] == "5"
                reason = "entry R has more to give at this moment than it can, or is slow; try again in 5 s"
                refused(one_more, 503, reason)
                assert not any(one.done() for one in waiting), "they wait still"
            assert [one.result().content for one in waiting] == [BYTES] * MOST_OF_ONE, "it hangs no more"
        for _ in range(10):
            assert others.head(FAR).status_code == 200
            assert 1 <= connections(croft, server) <= MOST, "they are used again"
    wait_until(lambda: connections(croft, server) == 0, "all connections to be closed")


def test_of_files_that_only_an_entry_has_that_is_away_it_is_said(server: Sshd, example: Example) -> None:
    server.stop()
    try:
        wait_until(lambda: example.get("/entries/R/progress")["away"], "it to be away")
        answer = example.croft.http.get(FAR)
        assert answer.status_code == 409
        reason = answer.json()["reason"]
        assert reason.startswith("this file can't be had at this moment: entry R can't be reached (127.0.0.1:"), reason
    finally:
        server.start()


def test_a_server_that_stops_waits_for_none_that_hangs(server: Sshd, example: Example) -> None:
    with hanging(server), ThreadPoolExecutor(1) as readers:
        waiting = readers.submit(httpx.get, example.croft.url + FAR, headers=example.croft.http.headers, timeout=60)
        wait_until(lambda: connections(example.croft, server) >= 1, "it to be waited for")
        assert example.croft.stop(8) == 0
        assert isinstance(waiting.exception(), httpx.TransportError)
