"""Deliveries of a real server to real receivers, good and bad."""

import socket
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.nodes.shop import PATH, Shop, now
from tests.nodes.tls_receiver import CERTIFICATE, tls_receiver
from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver
from tests.services.waiting import wait_until
from undercroft.machinery.deliveries.lanes import LONGEST_LANE

StartCroft = Callable[..., Croft]


def test_a_receiver_that_hangs_delays_nobody_else(start_croft: StartCroft, receiver: Receiver) -> None:
    shop = Shop(start_croft())
    receiver.answer("/hangs", Answer(delay=60))
    shop.route("hangs", receiver.url("/hangs"))
    shop.route("good", receiver.url("/good"))
    due = now() + 500

    for number in range(5):
        jobs = [
            {"id": f"{route}-{number}-{n}", "trigger_time": due, "route": route}
            for n in range(40)
            for route in ("hangs", "good")
        ]
        shop.http.post(PATH, json=jobs).raise_for_status()

    receiver.wait_for(200, "/good")
    wait_until(lambda: shop.count("delivered") == 200, "the good ones to be settled")
    assert shop.count("sending") > 0, "those that hang still do"


def test_attempts_follow_the_schedule_and_what_the_receiver_asks_for(
    start_croft: StartCroft, receiver: Receiver
) -> None:
    shop = Shop(start_croft())
    receiver.answer("/hook", Answer(hang_up=True), Answer(500), Answer(503, headers={"Retry-After": "2"}), Answer(204))
    shop.route("hook", receiver.url("/hook"), retries=[0.2, 0.1, 0])
    shop.job("one", "hook", meta={"n": 1})

    calls = receiver.wait_for(4)
    found = shop.wait_for_state("one", "delivered")

    assert calls[1].at - calls[0].at >= 0.2
    assert calls[3].at - calls[2].at >= 2
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert [call.headers["x-undercroft-attempt"] for call in calls] == ["1", "2", "3", "4"]
    assert {call.body for call in calls} == {b'{"n":1}'}
    assert found["attempts"] == 4
    tried = [(attempt["status"], attempt["error"]) for attempt in shop.attempts("one")]
    assert tried == [(None, "it hung up without an answer"), (500, None), (503, None), (204, None)]


def test_redirects_are_failures_and_never_followed(start_croft: StartCroft, receiver: Receiver) -> None:
    shop = Shop(start_croft())
    for status in (301, 302, 303, 307, 308):
        receiver.answer(f"/{status}", Answer(status, headers={"Location": receiver.url("/elsewhere")}))
        shop.route(f"to-{status}", receiver.url(f"/{status}"), retries=[])
        shop.job(f"job-{status}", f"to-{status}")

    for status in (301, 302, 303, 307, 308):
        reason = shop.wait_for_state(f"job-{status}", "dead")["reason"]
        assert f"answered {status}: redirects are not followed" in reason
    assert receiver.calls("/elsewhere") == []


def test_tls_is_verified(start_croft: StartCroft) -> None:
    with tls_receiver() as receiver:
        trusting = Shop(start_croft(environment={"SSL_CERT_FILE": str(CERTIFICATE)}))
        trusting.route("by-address", receiver.url(), retries=[])
        trusting.route("by-name", receiver.url("localhost"), retries=[])
        wary = Shop(start_croft())
        wary.route("by-address", receiver.url(), retries=[])

        trusting.job("good", "by-address", meta="hello")
        trusting.job("other-name", "by-name")
        wary.job("untrusted", "by-address")

        trusting.wait_for_state("good", "delivered")
        assert "TLS failed" in trusting.wait_for_state("other-name", "dead")["reason"]
        assert "TLS failed" in wary.wait_for_state("untrusted", "dead")["reason"]
        assert receiver.bodies == [b'"hello"']


LOOPBACK = ["127.0.0.1", "localhost", "127.9.9.9", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"]


def test_private_addresses_are_refused_where_settings_do_not_allow_them(
    start_croft: StartCroft, receiver: Receiver
) -> None:
    careful = Shop(start_croft(environment={"UNDERCROFT_ALLOW_PRIVATE_TARGETS": "0"}))
    generous = Shop(start_croft())
    for number, host in enumerate(LOOPBACK):
        careful.route(f"route-{number}", f"http://{host}:{receiver.port}/hook", retries=[])
        careful.job(f"job-{number}", f"route-{number}")
    generous.route("metadata", "http://169.254.169.254/latest", retries=[])
    generous.job("metadata", "metadata")

    for number, host in enumerate(LOOPBACK):
        reason = careful.wait_for_state(f"job-{number}", "dead")["reason"]
        assert "UNDERCROFT_ALLOW_PRIVATE_TARGETS=1" in reason, host
    assert "deliveries never go there" in generous.wait_for_state("metadata", "dead")["reason"]
    assert receiver.calls() == []


def test_dead_letters_are_replayed_by_id_and_by_time(start_croft: StartCroft, receiver: Receiver) -> None:
    shop = Shop(start_croft())
    receiver.default = Answer(500, body=b"out of stock")
    shop.route("hook", receiver.url("/hook"), retries=[])
    shop.jobs(["one", "two", "three"], "hook")
    wait_until(lambda: shop.count("dead") == 3, "all to be dead")
    before = {call.headers["x-undercroft-job"]: call.headers["webhook-id"] for call in receiver.calls()}
    letters = shop.http.get("/dead/shop").json()["jobs"]
    assert {letter["id"]: letter["reason"] for letter in letters} == dict.fromkeys(
        ("one", "two", "three"), "answered 500; its only attempt is used up"
    )
    receiver.forget()
    receiver.default = Answer()

    assert shop.http.post("/dead/shop/replay", json={"ids": ["one"]}).json()["replayed"] == 1
    [call] = receiver.wait_for(1)
    assert call.headers["webhook-id"] == before["one"]
    died = [letter["died_at"] for letter in letters]
    answer = shop.http.post("/dead/shop/replay", json={"from": min(died), "to": max(died) + 1})

    assert answer.json()["replayed"] == 2
    assert {call.headers["x-undercroft-job"] for call in receiver.wait_for(3)} == before.keys()
    wait_until(lambda: shop.count("delivered") == 3, "all to be delivered")


def test_a_receiver_that_is_gone_pauses_its_route(start_croft: StartCroft, receiver: Receiver) -> None:
    shop = Shop(start_croft())
    receiver.default = Answer(410)
    shop.route("hook", receiver.url("/hook"))
    shop.job("first", "hook")
    shop.wait_for_state("first", "dead")
    shop.job("second", "hook")
    shop.wait_for_state("second", "held")
    assert len(receiver.calls()) == 1
    receiver.default = Answer()

    shop.http.post("/route/shop/hook/resume").raise_for_status()

    shop.wait_for_state("second", "delivered")


def test_more_jobs_than_a_lane_holds_wait_for_their_paused_route_and_arrive_once(
    start_croft: StartCroft, database_url: str, receiver: Receiver
) -> None:
    shop = Shop(start_croft(database=database_url))
    many = LONGEST_LANE + 2_000
    shop.route("hook", receiver.url("/hook"), paused=True)
    for start in range(0, many, 2_000):
        shop.jobs([f"job-{number}" for number in range(start, start + 2_000)], "hook")
    wait_until(lambda: shop.count("held") == many, "all to be held", pause=0.2)
    assert receiver.calls() == []

    shop.http.post("/route/shop/hook/resume").raise_for_status()

    calls = receiver.wait_for(many, seconds=60)
    assert set(Counter(call.headers["x-undercroft-job"] for call in calls).values()) == {1}
    wait_until(lambda: shop.count("delivered") == many, "all to be settled", pause=0.2)
    assert len(receiver.calls()) == many


def test_a_recurring_job_goes_on_after_a_restart_until_it_is_deleted(
    start_croft: StartCroft, database_url: str, receiver: Receiver
) -> None:
    shop = Shop(start_croft(database=database_url))
    shop.route("hook", receiver.url("/hook"))
    shop.http.post(PATH, json={"id": "tick", "cron": "* * * * * *", "route": "hook"}).raise_for_status()
    receiver.wait_for(1, "/hook")

    shop.croft.kill()
    before = len(receiver.calls("/hook"))
    shop.croft.start()

    calls = receiver.wait_for(before + 3, "/hook")
    due = sorted({int(call.headers["x-undercroft-due"]) for call in calls})
    assert all(moment % 1_000 == 0 for moment in due)
    assert len(due) >= 3, "each moment is a run of its own"
    missed = [later - earlier for earlier, later in pairwise(due) if later - earlier > 1_000]
    assert len(missed) <= 1, "what was missed is made up for by one run"
    while shop.delete("tick").status_code != 200:  # a run may be under way
        pass
    count = len(receiver.calls("/hook"))
    shop.job("afterwards", "hook", in_ms=2_100)
    shop.wait_for_state("afterwards", "delivered")
    assert len(receiver.calls("/hook")) == count + 1


def test_a_receiver_that_is_not_there_is_tried_until_it_is(start_croft: StartCroft, receiver: Receiver) -> None:
    shop = Shop(start_croft())
    shop.route("hook", receiver.url("/hook"), retries=[0.2] * 50)
    receiver.stop()
    shop.job("one", "hook")
    wait_until(lambda: shop.detail("one")["attempts"] >= 2, "two attempts")
    assert "could not connect" in shop.attempts("one")[0]["error"]
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", receiver.port), 1)

    receiver.start()

    receiver.wait_for(1)
    shop.wait_for_state("one", "delivered")
