"""An orderly end: no request is cut, and what is on its way is settled or given back."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

from tests.services.croft import Croft
from tests.services.postgres import Postgres
from tests.services.receiver import Answer, Receiver
from tests.services.waiting import wait_until

StartCroft = Callable[..., Croft]
PATH = "/job/shop/carts"


def add_route(croft: Croft, receiver: Receiver, **more: object) -> None:
    route = {"id": "hook", "type": "REST", "webhook_url": receiver.url("/hook"), **more}
    croft.http.post("/route/shop", json=route).raise_for_status()


def add_jobs(croft: Croft, count: int) -> None:
    now = time.time_ns() // 1_000_000
    jobs = [{"id": f"job-{number}", "trigger_time": now, "route": "hook"} for number in range(count)]
    croft.http.post(PATH, json=jobs).raise_for_status()


def refuses_connections(croft: Croft) -> bool:
    try:
        socket.create_connection(("127.0.0.1", croft.port), 1).close()
    except OSError:
        return True
    return False


def test_deliveries_under_way_are_settled_and_the_rest_goes_on_after_the_restart(
    start_croft: StartCroft, database_url: str, receiver: Receiver
) -> None:
    croft = start_croft(database=database_url)
    receiver.default = Answer(delay=0.5)
    add_route(croft, receiver, concurrency=4)
    add_jobs(croft, 40)
    receiver.wait_for(4)

    assert croft.stop() == 0

    ended_with = len(receiver.calls())
    assert 4 <= ended_with < 40
    croft.start()
    states = [job["state"] for job in croft.http.get(PATH).json()["jobs"]]
    assert states.count("delivered") >= ended_with
    receiver.default = Answer()
    receiver.wait_for(40)
    wait_until(lambda: len(croft.http.get(f"{PATH}?state=delivered").json()["jobs"]) == 40, "all to be settled")
    assert len(receiver.calls()) == 40, "none was sent twice"


def test_a_request_half_of_which_is_still_on_the_wire_is_not_cut(start_croft: StartCroft, receiver: Receiver) -> None:
    croft = start_croft()
    add_route(croft, receiver)
    body = json.dumps({"id": "late", "trigger_time": time.time_ns() // 1_000_000 + 3_600_000, "route": "hook"})
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {croft.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", croft.port), 10) as connection:
        connection.sendall((head + body[:10]).encode())
        idle = socket.create_connection(("127.0.0.1", croft.port), 10)
        os.kill(croft.pid, signal.SIGTERM)
        wait_until(lambda: refuses_connections(croft), "croft to take no more connections")
        assert idle.recv(1) == b"", "a connection without a request does not hold it up"

        connection.sendall(body[10:].encode())

        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nconnection: close\r\n" in answer
    wait_until(lambda: not croft.running, "croft to end")
    assert croft.stop() == 0
    croft.start()
    assert croft.http.get(f"{PATH}/late").status_code == 200


def test_what_takes_longer_than_the_grace_is_tried_again(start_croft: StartCroft, receiver: Receiver) -> None:
    croft = start_croft(environment={"UNDERCROFT_SHUTDOWN_GRACE": "1s"})
    receiver.answer("/hook", Answer(delay=60), Answer())
    add_route(croft, receiver, retries=[0])
    add_jobs(croft, 1)
    receiver.wait_for(1)
    with socket.create_connection(("127.0.0.1", croft.port), 10) as connection:
        connection.sendall(b"POST /job/shop/carts HTTP/1.1\r\nContent-Le")

        assert croft.stop(seconds=15) == 0

        assert connection.recv(1) == b""
    croft.start()
    ids = {call.headers["webhook-id"] for call in receiver.wait_for(2)}
    assert len(ids) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_it_at_once_and_loses_nothing(
    start_croft: StartCroft, receiver: Receiver, number: signal.Signals
) -> None:
    croft = start_croft()
    receiver.answer("/hook", Answer(delay=60), Answer())
    add_route(croft, receiver, retries=[0])
    add_jobs(croft, 1)
    receiver.wait_for(1)
    os.kill(croft.pid, number)
    wait_until(lambda: refuses_connections(croft), "croft to take no more connections")
    assert croft.running

    os.kill(croft.pid, number)

    wait_until(lambda: not croft.running, "croft to end at once", 5)
    assert croft.stop() != 0
    assert "Traceback" not in croft.log_tail()
    croft.start()
    receiver.wait_for(2)


def test_it_ends_although_its_database_is_gone(
    start_croft: StartCroft, postgres: Postgres, postgres_url: str, receiver: Receiver
) -> None:
    croft = start_croft(database=postgres_url, environment={"UNDERCROFT_SHUTDOWN_GRACE": "2s"})
    receiver.default = Answer(delay=0.3)
    add_route(croft, receiver, concurrency=1)
    add_jobs(croft, 5)
    receiver.wait_for(1)
    postgres.stop()

    assert croft.stop(seconds=25) == 0

    assert "Traceback" not in croft.log_tail()
    postgres.start()
    croft.start()
    wait_until(lambda: len(croft.http.get(f"{PATH}?state=delivered").json()["jobs"]) == 5, "the rest to be delivered")
