"""Locks over HTTP on a running server: what the decisions add to the document."""

import itertools
import threading
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.contracts.caller import encoded, ok, refused
from tests.services.croft import Croft
from tests.services.waiting import wait_until

_numbers = itertools.count(1)
TRUE, FALSE = {"lock_obtained": True}, {"lock_obtained": False}


@pytest.fixture
def locks(croft: Croft) -> "Locks":
    return Locks(croft)


class Locks:
    """A caller in a namespace of its own."""

    def __init__(self, croft: Croft, namespace: str = "") -> None:
        self.http = croft.http
        self.croft = croft
        self.namespace = namespace or f"shop-{next(_numbers)}"

    def post(self, name: Any = "sync", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"name": name, "namespace": self.namespace, **fields}
        return self.http.post("/systems/locks", json=body, headers=headers)

    def take(self, name: str = "sync", **fields: Any) -> httpx.Headers:
        answer = self.post(name, **fields)
        assert ok(answer) == TRUE
        return answer.headers

    def path(self, name: str = "sync", **query: Any) -> str:
        words = "&".join(f"{key}={quote(str(value))}" for key, value in {"namespace": self.namespace, **query}.items())
        return f"/systems/locks/{encoded(name)}?{words}"

    def delete(self, name: str = "sync", headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        return self.http.delete(self.path(name, **query), headers=headers)

    def put(self, name: str = "sync", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        return self.http.put(self.path(name), json=fields, headers=headers)

    def show(self, name: str = "sync") -> Any:
        return ok(self.http.get(self.path(name)))

    def listed(self, **query: Any) -> Any:
        words = "&".join(f"{key}={quote(str(value))}" for key, value in {"namespace": self.namespace, **query}.items())
        return ok(self.http.get(f"/systems/locks?{words}"))

    def wait_for_line(self, length: int, name: str = "sync") -> None:
        wait_until(lambda: self.show(name)["waiters"] == length, f"{length} to stand in line")


def moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def test_the_headers_of_a_grant(locks: Locks) -> None:
    headers = locks.take(ttl=100)
    assert len(headers["x-lock-token"]) >= 22
    assert int(headers["x-fencing-token"]) > 0
    assert moment(headers["x-lock-expires-at"]) == pytest.approx(time.time() + 100, abs=5)
    again = locks.post(ttl=100)
    assert ok(again) == FALSE
    assert moment(again.headers["x-lock-held-until"]) == pytest.approx(time.time() + 100, abs=5)
    assert "x-lock-token" not in again.headers and "x-fencing-token" not in again.headers


def test_fencing_numbers_grow_over_a_kill(locks: Locks) -> None:
    first = locks.take()
    locks.croft.kill()
    locks.croft.start()
    assert ok(locks.post()) == FALSE, "what was granted is held after the kill"
    assert ok(locks.delete(token=first["x-lock-token"])) == {"lock_removed": True}
    assert int(locks.take()["x-fencing-token"]) > int(first["x-fencing-token"])


def test_a_delete_with_a_token_removes_that_grant_only(locks: Locks) -> None:
    headers = locks.take()
    assert ok(locks.delete(token="another")) == {"lock_removed": False}
    assert ok(locks.delete(headers={"X-Lock-Token": "another"})) == {"lock_removed": False}
    refused(locks.delete(token="another", headers={"X-Lock-Token": headers["x-lock-token"]}), "L009")
    assert ok(locks.delete(headers={"X-Lock-Token": headers["x-lock-token"]})) == {"lock_removed": True}


def test_details_stand_in_the_body_where_they_are_asked_for(locks: Locks) -> None:
    taken = ok(locks.post(ttl=60, owner="cron@a", details=True))
    assert list(taken) == ["lock_obtained", "name", "token", "fence", "owner", "expires_at", "expires_in"]
    assert (taken["lock_obtained"], taken["name"], taken["owner"], taken["expires_in"]) == (True, "sync", "cron@a", 60)
    other = ok(locks.post(details=True))
    assert list(other) == ["lock_obtained", "name", "owner", "fence", "held_until", "held_for"]
    assert (other["lock_obtained"], other["owner"], other["fence"]) == (False, "cron@a", taken["fence"])
    assert 50 < other["held_for"] <= 60
    renewed = ok(locks.put(token=taken["token"], ttl=30, details=True))
    assert (renewed["lock_renewed"], renewed["fence"], renewed["expires_in"]) == (True, taken["fence"], 30)


def test_renewing(locks: Locks) -> None:
    headers = locks.take(ttl=100)
    answer = locks.put(token=headers["x-lock-token"], ttl=1_000)
    assert ok(answer) == {"lock_renewed": True}
    assert answer.headers["x-fencing-token"] == headers["x-fencing-token"]
    assert moment(answer.headers["x-lock-expires-at"]) > moment(headers["x-lock-expires-at"]) + 800
    until = locks.put(headers={"X-Lock-Token": headers["x-lock-token"]}, expires_at="2040-01-01 00:00:00")
    assert until.headers["x-lock-expires-at"] == "2040-01-01 00:00:00"
    other = locks.put(token="another", ttl=1)
    assert ok(other) == {"lock_renewed": False}
    assert other.headers["x-lock-held-until"] == "2040-01-01 00:00:00"
    assert ok(locks.put("unknown", token="another", ttl=1)) == {"lock_renewed": False}
    refused(locks.put(ttl=1), "L009")
    refused(locks.put(token="another"), "L005")


def test_posting_with_the_own_token_renews(locks: Locks) -> None:
    headers = locks.take(ttl=100)
    again = locks.take(ttl=1_000, token=headers["x-lock-token"])
    assert again["x-fencing-token"] == headers["x-fencing-token"]
    assert again["x-lock-token"] == headers["x-lock-token"]


def test_the_same_key_gets_the_same_answer(locks: Locks) -> None:
    key = {"Idempotency-Key": "run-17"}
    first, again = locks.post(headers=key, ttl=60), locks.post(headers=key, ttl=60)
    assert ok(first) == ok(again) == TRUE
    names = ("x-lock-token", "x-fencing-token", "x-lock-expires-at")
    assert [first.headers[name] for name in names] == [again.headers[name] for name in names]
    refused(locks.post(headers=key, ttl=61), "L011", 409)
    assert ok(locks.post(ttl=60)) == FALSE


def test_waiting_in_line(locks: Locks) -> None:
    held = locks.take()
    order: list[int] = []

    def wait(number: int) -> None:
        answer = locks.post(wait=30, headers={"Connection": "close"})
        assert ok(answer) == TRUE
        order.append(number)
        assert ok(locks.delete(token=answer.headers["x-lock-token"])) == {"lock_removed": True}

    waiting = []
    for number in range(4):
        waiting.append(threading.Thread(target=wait, args=(number,)))
        waiting[-1].start()
        locks.wait_for_line(number + 1)
    assert ok(locks.delete(token=held["x-lock-token"])) == {"lock_removed": True}
    for thread in waiting:
        thread.join(30)
    assert order == [0, 1, 2, 3]
    assert locks.show()["held"] is False


def test_a_wait_ends(locks: Locks) -> None:
    locks.take(ttl=60)
    began = time.monotonic()
    answer = locks.post(wait=0.3)
    assert ok(answer) == FALSE
    assert 0.3 <= time.monotonic() - began < 10
    assert "x-lock-held-until" in answer.headers


def test_an_expiry_serves_who_waits(locks: Locks) -> None:
    first = locks.take(ttl=0.5)
    second = locks.take(wait=30)
    assert int(second["x-fencing-token"]) > int(first["x-fencing-token"])


def test_a_client_that_hangs_up_gets_nothing(locks: Locks) -> None:
    held = locks.take()
    with httpx.Client(base_url=locks.croft.url, headers=locks.http.headers, trust_env=False) as impatient:
        body = {"name": "sync", "namespace": locks.namespace, "wait": 60}
        with pytest.raises(httpx.ReadTimeout):
            impatient.post("/systems/locks", json=body, timeout=0.3)
    locks.wait_for_line(0)
    assert ok(locks.delete(token=held["x-lock-token"])) == {"lock_removed": True}
    assert locks.show()["held"] is False


def test_a_stopping_server_sends_who_waits_away_at_once(locks: Locks) -> None:
    locks.take()
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(locks.post(wait=60)))
    thread.start()
    locks.wait_for_line(1)
    began = time.monotonic()
    locks.croft.stop()
    assert time.monotonic() - began < 15
    thread.join(10)
    locks.croft.start()
    refused(answers[0], "L034", 503)
    assert answers[0].headers["retry-after"] == "1"


def test_showing_one(locks: Locks) -> None:
    free = locks.show("nobody")
    unknown = dict.fromkeys(("owner", "since", "expires_at", "expires_in", "fence", "free_at"))
    assert free == {"name": "nobody", "held": False, "waiters": 0, "require_token": False, **unknown}
    headers = locks.take(owner="cron@a", ttl=60, lock_delay=10)
    shown = locks.show()
    assert (shown["held"], shown["owner"], shown["fence"]) == (True, "cron@a", int(headers["x-fencing-token"]))
    assert shown["expires_at"] == headers["x-lock-expires-at"]
    assert moment(shown["free_at"]) - moment(shown["expires_at"]) in (10, 11)
    assert headers["x-lock-token"] not in str(shown) + str(locks.listed())
    locks.take("endless")
    assert (locks.show("endless")["held"], locks.show("endless")["expires_at"]) == (True, None)


def test_the_list_shows_what_is_held_in_pages(locks: Locks) -> None:
    for number in range(5):
        locks.take(f"job-{number}")
    locks.take("other")
    locks.take("job-over", ttl=0.001)
    locks.take("job-gone")
    locks.delete("job-gone")
    names: list[str] = []
    cursor = None
    while True:
        page = locks.listed(prefix="job-", limit=2, **({"cursor": cursor} if cursor else {}))
        names += [lock["name"] for lock in page["locks"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert names == [f"job-{number}" for number in range(5)]
    assert locks.listed(prefix="nothing") == {"locks": [], "cursor": None}


@pytest.mark.parametrize("name", ["a/b", "a.b", ".", "..", "a b", "a:b?c#d&e", "%2F", "ä€😀", "x" * 255, "a\nb"])
def test_any_name_can_be_taken_and_removed(locks: Locks, name: str) -> None:
    headers = locks.take(name)
    assert locks.show(name)["name"] == name
    assert ok(locks.put(name, token=headers["x-lock-token"], ttl=60)) == {"lock_renewed": True}
    assert ok(locks.delete(name)) == {"lock_removed": True}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": None}, "L002"),
        ({"name": ""}, "L002"),
        ({"name": "x" * 256}, "L002"),
        ({"name": "x" * 10_000}, "L002"),
        ({"name": "a\0b"}, "L002"),
        ({"name": 7}, "L001"),
        ({"name": ["a"]}, "L001"),
        ({"expires_at": ""}, "L003"),
        ({"expires_at": "tomorrow"}, "L003"),
        ({"expires_at": "2034-13-08 18:00:00"}, "L003"),
        ({"expires_at": "2034-07-08 18:00:00 Mars"}, "L003"),
        ({"expires_at": "20340708"}, "L003"),
        ({"expires_at": -1}, "L003"),
        ({"expires_at": 10**30}, "L003"),
        ({"expires_at": 1e308}, "L003"),
        ({"expires_at": True}, "L001"),
        ({"expires_at": "2014-07-08 18:00:00"}, "L004"),
        ({"expires_at": "2014-07-08T18:00:00Z"}, "L004"),
        ({"expires_at": 1_400_000_000}, "L004"),
        ({"ttl": 0}, "L005"),
        ({"ttl": -1}, "L005"),
        ({"ttl": 0.0001}, "L005"),
        ({"ttl": 1e300}, "L005"),
        ({"ttl": "60"}, "L001"),
        ({"ttl": 60, "expires_at": "2034-07-08 18:00:00"}, "L005"),
        ({"wait": 61}, "L007"),
        ({"wait": -1}, "L007"),
        ({"owner": "x" * 256}, "L008"),
        ({"owner": "a\0"}, "L008"),
        ({"token": ""}, "L009"),
        ({"token": "a b"}, "L009"),
        ({"token": "ä"}, "L009"),
        ({"token": "x" * 256}, "L009"),
        ({"lock_delay": 3_601}, "L012"),
        ({"details": "yes"}, "L001"),
        ({"tll": 60}, "L001"),
        ({"namespace": ""}, "L013"),
        ({"namespace": "x" * 513}, "L013"),
        ({"namespace": "a\0"}, "L013"),
    ],
)
def test_a_wrong_field_is_refused_and_changes_nothing(locks: Locks, fields: dict[str, Any], code: str) -> None:
    refused(locks.post(**{"name": "sync", **fields}), code)
    assert locks.listed()["locks"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "L001"), (b"[]", "L001"), (b"null", "L001"), (b'"sync"', "L001"), (b'{"name":', "L001"),
        (b'{"name":"\xff"}', "L001"), (b'{"name":"\\ud800"}', "L001"), (b"[" * 10_000, "L001"),
        (b'{"name":"a","ttl":1' + b"0" * 5_000 + b"}", "L001"), (b'{"name":"a","ttl":NaN}', "L001"),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_refused(locks: Locks, body: bytes, code: str) -> None:
    refused(locks.http.post("/systems/locks", content=body), code)


def test_a_body_that_is_too_large_is_refused(locks: Locks) -> None:
    refused(locks.post(owner="x" * 70_000), "L032", 413)


def test_wrong_keys_queries_and_paths_are_refused(locks: Locks) -> None:
    for key in ("", "a b", "x" * 256):
        refused(locks.post(headers={"Idempotency-Key": key}), "L010")
    refused(locks.delete(tokn="x"), "L014")
    refused(locks.delete(force="perhaps"), "L014")
    refused(locks.http.get("/systems/locks?limit=0"), "L014")
    refused(locks.http.get("/systems/locks?limit=1001"), "L014")
    refused(locks.http.get("/systems/locks?order=name"), "L014")
    refused(locks.http.get("/systems/locks/a/b"), "L035", 404)
    refused(locks.http.patch("/systems/locks/a"), "L035", 404)
    refused(locks.http.delete("/systems/locks"), "L035", 404)
    refused(locks.http.post("/systems/locks?namespace=other", json={"name": "a", "namespace": "one"}), "L013")
    refused(locks.http.delete(f"/systems/locks/{'x' * 256}"), "L002")


@pytest.mark.parametrize(
    "written",
    ["2034-07-08 18:00:00", "2034-07-08T18:00:00Z", "2034-07-08T20:00:00+02:00", "2034-07-08 18:00", 2_035_994_400,
     2_035_994_400_000, 2_035_994_400.0, "2034-07-08 18:00:00 UTC", "2034-07-08T18:00:00.000+0000"],
)  # fmt: skip
def test_moments_are_written_in_many_ways_and_shown_in_one(locks: Locks, written: Any) -> None:
    assert locks.take(expires_at=written)["x-lock-expires-at"] == "2034-07-08 18:00:00"


def test_a_guarded_lock_is_removed_with_its_token_or_by_force(locks: Locks) -> None:
    headers = locks.take(require_token=True)
    refused(locks.delete(), "L016", 409)
    assert locks.show()["require_token"] is True
    assert ok(locks.delete(token=headers["x-lock-token"])) == {"lock_removed": True}
    locks.take(require_token=True, owner="cron@b")
    assert ok(locks.delete(force=1)) == {"lock_removed": True}
    assert ok(locks.delete(force=1)) == {"lock_removed": False}
    [event] = [
        event for event in ok(locks.http.get("/undercroft/events?family=locks"))["events"]
        if event["namespace"] == locks.namespace
    ]  # fmt: skip
    assert (event["action"], event["subject"], event["actor"]) == ("take away", "sync", "admin@localhost")
    assert event["details"]["owner"] == "cron@b"


def scoped(croft: Croft, *scopes: str) -> httpx.Client:
    made = ok(croft.http.post("/undercroft/tokens", json={"name": "app", "scopes": list(scopes)}))
    return httpx.Client(base_url=croft.url, headers={"Authorization": made["token"]}, trust_env=False)


def test_scopes_and_namespaces(croft: Croft, locks: Locks) -> None:
    ours = scoped(croft, f"locks:{locks.namespace}")
    assert ok(ours.post("/systems/locks", json={"name": "sync"})) == TRUE, "its scope names the namespace"
    assert locks.show()["held"] is True
    assert croft.http.get("/systems/locks/sync").json()["held"] is False
    refused(ours.post("/systems/locks", json={"name": "sync", "namespace": "another"}), "L031", 403)
    refused(ours.delete("/systems/locks/sync?force=1"), "L031", 403)
    refused(ours.get("/systems/locks?namespace=another"), "L031", 403)
    stranger = scoped(croft, "timers")
    for answer in (stranger.post("/systems/locks", json={"name": "sync"}), stranger.delete("/systems/locks/sync"),
                   stranger.get("/systems/locks"), stranger.put("/systems/locks/sync", json={})):  # fmt: skip
        refused(answer, "L031", 403)


def test_equal_names_of_other_namespaces_never_meet(croft: Croft, locks: Locks) -> None:
    other = Locks(croft)
    locks.take()
    other.take()
    assert ok(locks.delete()) == {"lock_removed": True}
    assert other.show()["held"] is True
