"""The decisions on what is sent, what its answer means, and what becomes of what failed."""

from typing import Any
from urllib.parse import unquote

from tests.contracts.caller import HOUR, SOON, Caller, encoded, now, ok, refused
from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver

ODD = '{"b" : 1.0,  "a":[1 ,2, 12345678901234567890123],\n\t"ü":"\\u00fc<>&\\/" , "b":1e2}'


def test_the_body_is_meta_to_the_letter(shop: Caller) -> None:
    metas = [ODD, "null", '"text"', "[ ]", "-0.0", "false"]
    for number, meta in enumerate(metas):
        job = f'{{"id": "a{number}", "trigger_time": {now() + SOON}, "meta":{meta} , "route": "hook"}}'
        ok(shop.http.post(shop.jobs, content=job.encode()))
        assert f'"meta":{meta},"route"' in shop.http.get(shop.path(f"a{number}")).text

    for number, meta in enumerate(metas):
        call = shop.delivered(f"a{number}")
        assert call.body == meta.encode()
        assert call.headers["content-length"] == str(len(call.body))


def test_the_request(shop: Caller) -> None:
    due = shop.fire("a")

    call = shop.delivered("a")

    assert (call.method, call.path, call.body) == ("POST", "/hook", b"null")
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"]
    assert abs(int(call.headers["webhook-timestamp"]) - call.at) < 5
    assert "webhook-signature" not in call.headers, "a route without a secret signs nothing"
    said = {name: value for name, value in call.headers.items() if name.startswith("x-undercroft-")}
    assert said == {
        "x-undercroft-job": "a",
        "x-undercroft-db": shop.db,
        "x-undercroft-collection": "carts",
        "x-undercroft-route": "hook",
        "x-undercroft-due": str(due),
        "x-undercroft-attempt": "1",
    }
    assert call.at * 1_000 >= due, "never early"


def test_names_that_no_header_can_hold_are_encoded(croft: Croft, receiver: Receiver) -> None:
    name = "größe/7%\r\nX-Evil: 1"
    caller = Caller(croft, receiver, db=name)
    caller.jobs = f"/job/{encoded(name)}/{encoded(name)}"
    caller.make_route("hook")
    ok(caller.http.post(caller.routes, json={"id": name, "type": "REST", "webhook_url": receiver.url("/odd")}))

    caller.fire(name, route=name)

    headers = receiver.wait_for(1)[0].headers
    assert "x-evil" not in headers
    for of in ("job", "db", "collection", "route"):
        assert headers[f"x-undercroft-{of}"].startswith("gr%C3%B6%C3%9Fe/7%25%0D%0AX-Evil:")
        assert unquote(headers[f"x-undercroft-{of}"]) == name


def test_any_2xx_is_done(bare: Caller) -> None:
    statuses = (200, 201, 202, 204, 299)
    for status in statuses:
        bare.make_route(f"{status}", retries=[])
        bare.receiver.answer(f"/{status}", Answer(status))
        bare.fire(f"a{status}", route=f"{status}")

    for status in statuses:
        bare.delivered(f"a{status}")
        assert [attempt["status"] for attempt in bare.attempts(f"a{status}")] == [status]


def test_anything_else_is_a_failure_and_no_redirect_is_followed(bare: Caller) -> None:
    statuses = (301, 302, 303, 307, 308, 400, 404, 500)
    elsewhere = {"Location": bare.receiver.url("/elsewhere")}
    for status in statuses:
        bare.make_route(f"{status}", retries=[0])
        bare.receiver.answer(f"/{status}", Answer(status, headers=elsewhere), Answer())
        bare.fire(f"a{status}", route=f"{status}")

    for status in statuses:
        bare.wait_for(f"a{status}", "delivered")
        calls = bare.receiver.calls(f"/{status}")
        assert [(call.method, call.headers["x-undercroft-attempt"]) for call in calls] == [("POST", "1"), ("POST", "2")]
        assert calls[0].headers["webhook-id"] == calls[1].headers["webhook-id"]
        assert [attempt["status"] for attempt in bare.attempts(f"a{status}")] == [status, 200]
    assert bare.receiver.calls("/elsewhere") == []


def test_no_answer_is_a_failure(bare: Caller) -> None:
    bare.make_route(retries=[0])
    bare.receiver.answer("/hook", Answer(hang_up=True), Answer())

    bare.fire("a")

    bare.wait_for("a", "delivered")
    assert [attempt["status"] for attempt in bare.attempts("a")] == [None, 200]


def test_retry_after_is_waited_for(bare: Caller) -> None:
    for status in (429, 503):
        bare.make_route(f"{status}", retries=[0])
        bare.receiver.answer(f"/{status}", Answer(status, headers={"Retry-After": "1"}), Answer())
        bare.fire(f"a{status}", route=f"{status}")

    for status in (429, 503):
        first, second = bare.receiver.wait_for(2, f"/{status}")
        assert 0.95 <= second.at - first.at < 10


def test_the_default_schedule_begins_with_five_seconds(bare: Caller) -> None:
    bare.make_route()
    bare.receiver.default = Answer(500)

    bare.fire("a")

    detail = bare.wait_for("a", "retrying")
    pause = detail["next_attempt"] - detail["last_outcome"]["at"] - detail["last_outcome"]["took_ms"]
    assert 4_990 <= pause <= 7_000
    assert detail["attempts"] == 1 and "500" in detail["reason"]
    assert bare.listed("?state=retrying") == bare.listed("?state=pending") == ["a"]


def test_a_job_has_its_own_schedule(shop: Caller) -> None:
    shop.receiver.answer("/hook", Answer(500), Answer())

    shop.fire("a", retries=[0])

    assert shop.wait_for("a", "delivered")["attempts"] == 2


def test_attempts_are_written_down(bare: Caller) -> None:
    bare.make_route(retries=[0])
    bare.receiver.answer("/hook", Answer(500, b"no room " + b"x" * 2_000), Answer(200, b"done"))
    due = bare.fire("a")
    bare.wait_for("a", "delivered")

    attempts = bare.attempts("a")

    assert [list(one) for one in attempts] == [["attempt", "started_at", "took_ms", "status", "error", "reply"]] * 2
    assert [one["attempt"] for one in attempts] == [1, 2]
    assert [one["status"] for one in attempts] == [500, 200]
    assert attempts[0]["reply"] == ("no room " + "x" * 2_000)[:1_024]
    assert attempts[1]["reply"] == "done" and attempts[1]["error"] is None
    assert due <= attempts[0]["started_at"] <= attempts[1]["started_at"] <= now()
    first = ok(bare.http.get(f"{bare.path('a')}/attempts?limit=1"))
    rest = ok(bare.http.get(f"{bare.path('a')}/attempts?limit=1&cursor={first['cursor']}"))
    assert (first["attempts"] + rest["attempts"], rest["cursor"]) == (attempts, None)
    refused(bare.http.get(f"{bare.path('b')}/attempts"), "E008")


def test_dead_letters_and_replay_by_id(bare: Caller) -> None:
    bare.make_route(retries=[0])
    bare.receiver.answer("/hook", Answer(500), Answer(500), Answer())
    due = bare.fire("a", meta={"n": 1})
    bare.wait_for("a", "dead")

    [letter] = ok(bare.http.get(bare.dead))["jobs"]
    assert due <= letter.pop("died_at") <= now() and "500" in letter.pop("reason")
    assert letter == {
        "id": "a", "trigger_time": due, "meta": {"n": 1}, "route": "hook", "collection": "carts", "attempts": 2,
    }  # fmt: skip
    assert replay(bare, ids=["a", "unknown"]) == 1
    bare.wait_for("a", "delivered")

    calls = bare.receiver.calls()
    assert [call.headers["x-undercroft-attempt"] for call in calls] == ["1", "2", "1"]
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert [attempt["attempt"] for attempt in bare.attempts("a")] == [1, 2, 3]
    assert bare.dead_ids() == [] and replay(bare, ids=["a"]) == 0


def test_replay_by_the_time_of_death(shop: Caller) -> None:
    shop.receiver.answer("/hook", Answer(500), Answer())
    shop.fire("a")
    shop.wait_for("a", "dead")
    died = ok(shop.http.get(shop.dead))["jobs"][0]["died_at"]
    refused(shop.http.post(f"{shop.dead}/replay", json={}), "E025")

    assert replay(shop, **{"from": died + 1}) == replay(shop, **{"from": died - HOUR, "to": died}) == 0
    assert replay(shop, **{"from": died, "to": died + 1, "collection": "games"}) == 0
    assert replay(shop, **{"from": died, "to": died + 1, "route": "hook"}) == 1

    shop.wait_for("a", "delivered")


def test_dead_letters_are_listed_by_collection_and_route_and_in_pages(shop: Caller) -> None:
    shop.receiver.default = Answer(500)
    shop.make_route("other", retries=[])
    shop.fire("a")
    shop.fire("b", route="other")
    for id in ("a", "b"):
        shop.wait_for(id, "dead")

    assert sorted(shop.dead_ids()) == sorted(shop.dead_ids("?collection=carts")) == ["a", "b"]
    assert shop.dead_ids("?route=other") == ["b"]
    assert shop.dead_ids("?collection=games") == []
    first = ok(shop.http.get(f"{shop.dead}?limit=1"))
    rest = shop.dead_ids(f"?limit=1&cursor={first['cursor']}")
    assert sorted([first["jobs"][0]["id"], *rest]) == ["a", "b"]
    refused(shop.http.get(f"{shop.dead}?colection=carts"), "E023")


def test_what_is_under_way_is_not_deleted(shop: Caller) -> None:
    shop.receiver.default = Answer(delay=30)
    shop.post("waits")
    shop.fire("a")
    shop.receiver.wait_for(1)

    refused(shop.http.delete(shop.path("a")), "E010")
    refused(shop.put("a", trigger_time=now() + HOUR), "E010")
    assert ok(shop.http.delete(f"{shop.jobs}?all=1")) == {"status": "ok", "deleted": 1, "in_flight": 1}

    assert shop.listed() == shop.listed("?state=sending") == ["a"]


def test_lateness_is_measured(shop: Caller) -> None:
    shop.fire("a")
    shop.delivered("a")

    metrics = shop.http.get("/metrics").text

    assert any("late" in line and "_bucket{" in line for line in metrics.splitlines()), metrics[:2_000]


def replay(caller: Caller, **wanted: Any) -> int:
    answer = ok(caller.http.post(f"{caller.dead}/replay", json=wanted))
    assert list(answer) == ["status", "replayed"] and answer["status"] == "ok"
    replayed: int = answer["replayed"]
    return replayed
