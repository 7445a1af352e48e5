"""The Python client against a real server, and over a line that loses replies."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.contracts.caller import encoded
from tests.services.croft import Croft, new_token
from tests.services.proxy import Proxy
from tests.services.waiting import wait_until
from undercroft.client import Client, LockLost, LockNotObtained, Refused, Unreachable

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def croft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Croft]:
    server = Croft(tmp_path_factory.mktemp("client"), token=new_token())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def client(croft: Croft) -> Client:
    return Client(croft.url, croft.token)


@pytest.fixture
def name() -> str:
    return f"a/b {next(_numbers)} ü."


def shown(croft: Croft, name: str) -> dict[str, object]:
    [lock] = [lock for lock in croft.http.get("/systems/locks").json()["locks"] if lock["name"] == name] or [{}]
    return lock


def take_away(croft: Croft, name: str) -> None:
    assert croft.http.delete(f"/systems/locks/{encoded(name)}?force=1").json() == {"lock_removed": True}


def test_held_inside_the_block_and_free_behind_it(croft: Croft, client: Client, name: str) -> None:
    with client.lock(name, owner="me") as lock:
        held = shown(croft, name)
        assert (held["fence"], held["owner"]) == (lock.fence, "me")
        assert 0 < lock.remaining() <= 30
        lock.check()
    assert shown(croft, name) == {}
    with client.lock(name) as again:
        assert again.fence > lock.fence


def test_free_behind_a_block_that_raises(croft: Croft, client: Client, name: str) -> None:
    with pytest.raises(LookupError), client.lock(name):
        raise LookupError
    assert shown(croft, name) == {}


def test_not_obtained(croft: Croft, client: Client, name: str) -> None:
    with client.lock(name, owner="the other", ttl=60), pytest.raises(LockNotObtained, match="the other") as held:
        client.lock(name).acquire()
    assert held.value.held_for is not None and 0 < held.value.held_for <= 60


def test_waiting_for_it(croft: Croft, client: Client, name: str) -> None:
    got: list[int] = []

    def wait() -> None:
        with client.lock(name, wait=None) as lock:
            got.append(lock.fence)

    thread = threading.Thread(target=wait)
    with client.lock(name) as lock:
        thread.start()
        wait_until(lambda: shown(croft, name)["waiters"] == 1, "the other to stand in line")
        with pytest.raises(LockNotObtained):
            client.lock(name, wait=0.2).acquire()
    thread.join(20)
    assert got and got[0] > lock.fence


def test_renewed_for_as_long_as_it_is_held(croft: Croft, client: Client, name: str) -> None:
    with client.lock(name, ttl=1.5) as lock:
        renewed = threading.Semaphore(0)
        lock.on_renewed = renewed.release
        for _ in range(4):  # which is longer than it lasts by itself
            assert renewed.acquire(timeout=10)
        lock.check()
        assert shown(croft, name)["fence"] == lock.fence


def test_lost_when_it_is_taken_away(croft: Croft, client: Client, name: str) -> None:
    told = threading.Event()
    with pytest.raises(LockLost), client.lock(name, ttl=3, on_lost=told.set) as lock:
        take_away(croft, name)
        assert told.wait(10)
        assert lock.lost.is_set() and lock.remaining() == 0
        with pytest.raises(LockLost):
            lock.check()


def test_taken_away_between_two_renewals_is_found_out_at_the_end(croft: Croft, client: Client, name: str) -> None:
    with pytest.raises(LockLost), client.lock(name, ttl=600):
        take_away(croft, name)


def test_an_exception_inside_is_not_hidden_by_the_loss(croft: Croft, client: Client, name: str) -> None:
    with pytest.raises(LookupError), client.lock(name, ttl=600):
        take_away(croft, name)
        raise LookupError


def test_a_lost_reply_leads_to_no_second_grant(croft: Croft, name: str) -> None:
    with Proxy(croft.port) as line:
        client = Client(line.url, croft.token)
        line.replies_to_lose = 2
        with client.lock(name) as lock:
            assert shown(croft, name)["fence"] == lock.fence
            assert line.replies_to_lose == 0
        assert shown(croft, name) == {}


def test_cut_off_for_too_long_it_is_lost_before_it_ends(croft: Croft, name: str) -> None:
    with Proxy(croft.port) as line:
        client = Client(line.url, croft.token)
        began = time.monotonic()
        with pytest.raises(LockLost), client.lock(name, ttl=6) as lock:
            line.cut()
            assert lock.lost.wait(20)
            assert time.monotonic() - began < 6 + 2, "a call that is not answered was waited for beyond its end"
    with Client(croft.url, croft.token).lock(name, wait=10) as later:
        assert later.fence > lock.fence


def test_cut_off_for_a_moment_it_is_kept(croft: Croft, name: str) -> None:
    with Proxy(croft.port) as line, Client(line.url, croft.token).lock(name, ttl=9) as lock:
        renewed = threading.Event()
        line.cut()
        wait_until(lambda: line.hung_up > 0, "a renewal in vain")
        lock.on_renewed = renewed.set
        line.mend()
        assert renewed.wait(10)
        lock.check()


def test_what_the_server_refuses_is_said(croft: Croft, client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.lock("x" * 256).acquire()
    assert (refused.value.status, refused.value.code) == (400, "L002")
    with pytest.raises(Refused) as refused:
        Client(croft.url, "wrong").lock("x").acquire()
    assert refused.value.status == 401
    assert "wrong" not in repr(Client(croft.url, "wrong"))


def test_wrong_arguments_are_said() -> None:
    for url in ("ftp://x", "127.0.0.1:3862", "http://", "http://x/?a=b"):
        with pytest.raises(ValueError, match="no URL of a server"):
            Client(url, "")
    with pytest.raises(ValueError, match="ttl"):
        Client().lock("x", ttl=0)


def test_no_server_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.client.locks.PATIENCE", 0.3)
    with pytest.raises(Unreachable), Client("http://127.0.0.1:1", "").lock("x"):
        raise AssertionError("not reached")


def test_server_and_token_come_from_the_environment(croft: Croft, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCROFT_URL", croft.url)
    monkeypatch.setenv("UNDERCROFT_TOKEN", croft.token)
    with Client().lock(name):
        assert shown(croft, name)


def test_it_needs_nothing_but_python() -> None:
    """Programs import it that have none of our packages, and don't want to wait for them."""
    code = "import sys, undercroft.client; print([m for m in sys.modules if m in ('msgspec', 'structlog', 'typer')])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "[]\n"
