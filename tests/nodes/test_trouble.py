"""What the server stands on gives way: nothing acknowledged is lost, each refusal says why, and it recovers alone."""

import resource
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.nodes.small_disk import small_disk
from tests.services.croft import Croft, new_token
from tests.services.postgres import Postgres
from tests.services.receiver import Receiver
from tests.services.waiting import wait_until

StartCroft = Callable[..., Croft]
PATH = "/job/shop/carts"


def add_route(croft: Croft, receiver: Receiver) -> None:
    croft.http.post(
        "/route/shop", json={"id": "hook", "type": "REST", "webhook_url": receiver.url("/hook")}
    ).raise_for_status()


def create(croft: Croft, id: str, in_ms: int = 3_600_000, meta: object = None) -> httpx.Response:
    due = time.time_ns() // 1_000_000 + in_ms
    return croft.http.post(PATH, json={"id": id, "trigger_time": due, "meta": meta, "route": "hook"})


def ids(croft: Croft) -> set[str]:
    return {job["id"] for job in croft.http.get(f"{PATH}?limit=1000").json()["jobs"]}


@pytest.mark.parametrize("kind", ["disk", "limit"])
def test_a_full_disk(tmp_path: Path, receiver: Receiver, kind: str) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, kind) as disk:
        croft = Croft(folder, token=new_token())
        try:
            croft.start()
            add_route(croft, receiver)
            acknowledged = {id for id in ("soon", "later") if create(croft, id, 500).status_code == 200}
            receiver.wait_for(2)
            create(croft, "due-while-full", 300).raise_for_status()
            disk.fill(croft)
            acknowledged |= fill_the_log(croft)

            assert croft.http.get(f"{PATH}/soon").status_code == 200, "what is there can be read"
            health = croft.http.get("/health")
            assert (health.status_code, health.json()["database"]) == (503, "can't be written")
            disk.make_room(croft)

            receiver.wait_for(3)
            wait_until(lambda: create(croft, "after").status_code == 200, "a job to be taken again")
            assert ids(croft) == acknowledged | {"due-while-full", "after"}
            croft.kill()
            croft.start()
            assert croft.http.get("/health").status_code == 200
            assert ids(croft) == acknowledged | {"due-while-full", "after"}
        finally:
            croft.close()


def fill_the_log(croft: Croft) -> set[str]:
    """Creates until there is no room; the ids of those that were acknowledged all the same."""
    taken = set()
    for number in range(200):
        answer = create(croft, f"large-{number}", meta="x" * 50_000)
        if answer.status_code != 200:
            assert answer.status_code == 503
            assert answer.json()["code"] == "E034"
            assert "undercroft.db" in answer.json()["error"] and "nothing was changed" in answer.json()["error"]
            assert answer.headers["retry-after"]
            assert create(croft, "refused", meta="x" * 50_000).status_code == 503
            return taken
        taken.add(f"large-{number}")
    raise AssertionError("it was never full")


def test_a_database_that_another_program_has_locked(start_croft: StartCroft, receiver: Receiver) -> None:
    croft = start_croft()
    add_route(croft, receiver)
    create(croft, "due", 1_000).raise_for_status()
    locking = sqlite3.connect(croft.data / "undercroft.db", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")

    answer = create(croft, "refused")

    assert (answer.status_code, answer.json()["code"]) == (503, "E034")
    assert "is locked by another program; nothing was changed, try again" in answer.json()["error"]
    assert croft.http.get(f"{PATH}/due").status_code == 200
    assert croft.http.get("/health").status_code == 200
    locking.execute("ROLLBACK")
    locking.close()
    assert create(croft, "taken").status_code == 200
    receiver.wait_for(1)
    assert ids(croft) == {"due", "taken"}


def test_a_postgres_that_goes_and_comes_back(
    start_croft: StartCroft, postgres: Postgres, postgres_url: str, receiver: Receiver
) -> None:
    croft = start_croft(database=postgres_url)
    pid = croft.pid
    add_route(croft, receiver)
    create(croft, "due-meanwhile", 500).raise_for_status()
    create(croft, "due-later", 4_000).raise_for_status()
    postgres.stop()

    began = time.monotonic()
    with ThreadPoolExecutor(80) as many:
        creating = [many.submit(create, croft, f"refused-{number}") for number in range(40)]
        reading = [many.submit(croft.http.get, f"{PATH}/{number}") for number in range(40)]
        answers = [one.result() for one in creating + reading]
    assert time.monotonic() - began < 10, "callers are not kept waiting for one another"
    health = croft.http.get("/health", timeout=3)

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["error"] for answer in answers} == {
        "PostgreSQL is not reachable; check that it runs and that --database is right"
    }
    assert health.status_code == 503
    assert (health.json()["status"], health.json()["database"]) == ("unavailable", "unreachable")
    postgres.start()
    wait_until(croft.healthy, "croft to recover")
    receiver.wait_for(2)
    assert create(croft, "after").status_code == 200
    assert ids(croft) == {"due-meanwhile", "due-later", "after"}
    assert croft.pid == pid


def test_no_more_files_to_open(start_croft: StartCroft, receiver: Receiver) -> None:
    """Connections out and in take files. What can't be tried is no attempt, and who can't be let in comes again."""
    croft = start_croft()
    add_route(croft, receiver)
    create(croft, "due", 1_500).raise_for_status()
    most = resource.prlimit(croft.pid, resource.RLIMIT_NOFILE)
    # Numbers below 3 are taken for good: whatever is closed meanwhile makes no room.
    resource.prlimit(croft.pid, resource.RLIMIT_NOFILE, (3, most[1]))
    wait_until(lambda: "not_sent" in croft.log_tail(), "it to fail to connect")
    assert receiver.calls() == []
    with pytest.raises(httpx.TransportError), httpx.Client(base_url=croft.url, trust_env=False, timeout=2) as other:
        other.get("/health")
    assert croft.http.get("/health").status_code == 200, "who is in stays in"

    resource.prlimit(croft.pid, resource.RLIMIT_NOFILE, most)

    [call] = receiver.wait_for(1)
    assert call.headers["x-undercroft-attempt"] == "1"
    with httpx.Client(base_url=croft.url, trust_env=False) as other:
        wait_until(lambda: other.get("/health").status_code == 200, "it to let in")
