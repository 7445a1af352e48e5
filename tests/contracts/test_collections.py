"""The decisions on many jobs at once: bulk, lists, deleting, moving; and on jobs that come back."""

import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.contracts.caller import FAR, HOUR, OK, SOON, Caller, now, ok, refused
from tests.services.waiting import wait_until

NDJSON = {"Content-Type": "application/x-ndjson"}


def job(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "trigger_time": FAR, "route": "hook", **more}


def make(caller: Caller, *jobs: dict[str, Any]) -> None:
    assert ok(caller.http.post(caller.jobs, json=jobs))["created"] == len(jobs)


def test_an_array_of_jobs(shop: Caller) -> None:
    nameless = {"trigger_time": FAR, "route": "hook"}

    answer = ok(shop.http.post(shop.jobs, json=[job("a", meta=1), job("b"), nameless]))

    assert list(answer) == ["status", "created", "ids"]
    assert (answer["status"], answer["created"], answer["ids"][:2]) == ("ok", 3, ["a", "b"])
    assert sorted(shop.listed()) == sorted(answer["ids"])
    assert shop.get("a")["meta"] == 1


def test_one_job_a_line(shop: Caller) -> None:
    lines = "\n".join(json.dumps(job(id)) for id in "abc") + "\n\n"

    answer = ok(shop.http.post(shop.jobs, content=lines, headers=NDJSON))

    assert answer == {"status": "ok", "created": 3, "ids": ["a", "b", "c"]}


def test_a_bulk_fires(shop: Caller) -> None:
    make(shop, *(job(id, trigger_time=now() + SOON, meta=id) for id in "abc"))

    assert [shop.delivered(id).body for id in "abc"] == [b'"a"', b'"b"', b'"c"']


@pytest.mark.parametrize("wrong", [job("x", route="nowhere"), job("x", trigger_time=1), job("known", meta=2)])
def test_all_or_none(shop: Caller, wrong: dict[str, Any]) -> None:
    ok(shop.post("known"))

    assert "job 1" in refused(shop.http.post(shop.jobs, json=[job("a"), wrong, job("b")]), "E024")
    lines = "\n".join(json.dumps(one) for one in (job("a"), wrong))
    refused(shop.http.post(shop.jobs, content=lines, headers=NDJSON), "E024")

    assert shop.listed() == ["known"]


@pytest.mark.parametrize("lines", [False, True])
def test_a_report_on_each(shop: Caller, lines: bool) -> None:
    ok(shop.post("known"))
    many = [job("a"), job("b", route="nowhere"), job("c", trigger_time=1), job("known", meta=2), {"id": 5}]
    body = "\n".join(map(json.dumps, many)) if lines else json.dumps(many)

    answer = ok(shop.http.post(f"{shop.jobs}?report=1", content=body, headers=NDJSON if lines else {}))

    assert list(answer) == ["status", "created", "results"]
    assert (answer["status"], answer["created"]) == ("partial", 1)
    assert answer["results"][0] == {"id": "a", "status": "ok"}
    assert [result.get("code") for result in answer["results"]] == [None, "E006", "E004", "E007", "E001"]
    assert all(result["status"] == "refused" and result["error"] for result in answer["results"][1:])
    assert sorted(shop.listed()) == ["a", "known"]
    assert ok(shop.http.post(f"{shop.jobs}?report=1", json=[job("a")]))["status"] == "ok"


def test_upsert_counts_for_each_of_a_bulk(shop: Caller) -> None:
    make(shop, job("a"), job("b"))
    assert ok(shop.http.post(shop.jobs, json=[job("a"), job("b")])) == {"status": "ok", "created": 2, "ids": ["a", "b"]}

    ok(shop.http.post(f"{shop.jobs}?upsert=1", json=[job("a", meta=1), job("b", meta=2)]))

    assert [shop.get(id)["meta"] for id in "ab"] == [1, 2]


def test_the_list(shop: Caller) -> None:
    shop.make_route("other")
    make(shop, job("a", meta={"n": 1}), job("b", trigger_time=FAR + HOUR), job("c", route="other"))

    answer = ok(shop.http.get(shop.jobs))
    assert list(answer) == ["jobs", "cursor"] and answer["cursor"] is None
    assert answer["jobs"][0] == {**job("a", meta={"n": 1}), "state": "scheduled", "attempts": 0}

    assert shop.listed(f"?after={FAR}&before={FAR + 1}") == ["a", "c"]
    assert shop.listed(f"?after={FAR + 1}") == shop.listed(f"?after={FAR + HOUR}") == ["b"]
    assert shop.listed(f"?before={FAR}") == shop.listed("?state=delivered") == shop.listed("?route=nowhere") == []
    assert shop.listed("?route=other") == ["c"]
    assert shop.listed("?state=scheduled&route=hook") == ["a", "b"]
    assert ok(shop.http.get(f"/job/{shop.db}/never")) == {"jobs": [], "cursor": None}


def test_the_states_of_a_list(shop: Caller) -> None:
    shop.post("later")
    shop.fire("a")
    shop.delivered("a")

    assert shop.listed("?state=delivered") == ["a"]
    assert shop.listed("?state=pending") == ["later"]
    assert sorted(shop.listed()) == ["a", "later"]


def test_pages(shop: Caller) -> None:
    make(shop, *(job(f"{number}", trigger_time=FAR + number * HOUR) for number in range(7)))

    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = ok(shop.http.get(f"{shop.jobs}?limit=3{cursor and f'&cursor={cursor}'}"))
        assert len(page["jobs"]) <= 3
        seen += [listed["id"] for listed in page["jobs"]]
        cursor, pages = page["cursor"], pages + 1

    assert seen == [f"{number}" for number in range(7)]
    assert pages >= 3


@pytest.mark.parametrize(
    "query", ["sate=dead", "state=asleep", "limit=0", "limit=1001", "limit=x", "cursor=x", "after=soon", "before=-1"]
)
def test_a_filter_that_is_wrong_selects_nothing(shop: Caller, query: str) -> None:
    make(shop, job("a"))
    refused(shop.http.get(f"{shop.jobs}?{query}"), "E023")

    refused(shop.http.delete(f"{shop.jobs}?all=1&{query}"), "E023")
    refused(shop.http.patch(f"{shop.jobs}?all=1&{query}", json={"shift_ms": 1}), "E023")

    assert shop.get("a")["trigger_time"] == FAR


def test_deleting_many(shop: Caller) -> None:
    shop.make_route("other")
    make(shop, job("a"), job("b", trigger_time=FAR + HOUR), job("c", route="other"), job("d"))

    assert ok(shop.http.delete(f"{shop.jobs}?after={FAR + 1}")) == {"status": "ok", "deleted": 1, "in_flight": 0}
    assert shop.listed() == ["a", "c", "d"]
    assert ok(shop.http.delete(f"{shop.jobs}?route=other&state=scheduled"))["deleted"] == 1
    refused(shop.http.delete(shop.jobs), "E025")
    assert shop.listed() == ["a", "d"]
    assert ok(shop.http.delete(f"{shop.jobs}?all=1"))["deleted"] == 2
    assert shop.listed() == []


def test_moving_many(shop: Caller) -> None:
    make(shop, job("a"), job("b", trigger_time=FAR + HOUR))

    assert ok(shop.http.patch(f"{shop.jobs}?before={FAR + 1}", json={"shift_ms": -5})) == {"status": "ok", "moved": 1}
    assert [shop.get(id)["trigger_time"] for id in "ab"] == [FAR - 5, FAR + HOUR]
    refused(shop.http.patch(shop.jobs, json={"shift_ms": 5}), "E025")
    refused(shop.http.patch(f"{shop.jobs}?all=1", json={}), "E003")
    refused(shop.http.patch(f"{shop.jobs}?all=1", json={"shift_ms": 5, "trigger_time": FAR}), "E003")
    refused(shop.http.patch(f"{shop.jobs}?all=1", json={"trigger_time": now() - HOUR}), "E004")
    assert [shop.get(id)["trigger_time"] for id in "ab"] == [FAR - 5, FAR + HOUR]

    assert ok(shop.http.patch(f"{shop.jobs}?all=1", json={"trigger_time": now() + SOON}))["moved"] == 2
    for id in "ab":
        shop.delivered(id)


def test_a_recurring_job_fires_again_and_again(shop: Caller) -> None:
    assert ok(shop.post("tick", cron="* * * * * *", trigger_time=None, meta=7)) == OK

    calls = shop.receiver.wait_for(2)
    wait_until(lambda: shop.http.delete(shop.path("tick")).status_code == 200, "no run to be under way")

    ids = [call.headers["x-undercroft-job"] for call in calls]
    assert all(re.fullmatch(r"tick@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", id) for id in ids)
    assert len(set(ids)) == len(ids)
    assert {call.body for call in calls} == {b"7"}
    for call in calls[:2]:
        assert int(call.headers["x-undercroft-due"]) % 1_000 == 0
    refused(shop.http.get(shop.path("tick")), "E008")


def test_a_recurring_job_shows_its_next_moment(shop: Caller) -> None:
    assert ok(shop.post("a", cron="30 2 * * *", timezone="Europe/Berlin", trigger_time=None)) == OK
    assert ok(shop.post("a", cron="30 2 * * *", timezone="Europe/Berlin", trigger_time=None)) == OK
    refused(shop.post("a", cron="31 2 * * *", timezone="Europe/Berlin", trigger_time=None), "E007")

    assert list(shop.get("a")) == ["id", "trigger_time", "meta", "route"]
    detail = shop.detail("a")
    assert (detail["cron"], detail["timezone"]) == ("30 2 * * *", "Europe/Berlin")
    assert now() < detail["trigger_time"] == detail["next_attempt"] < now() + 25 * HOUR


@pytest.mark.parametrize(
    ("cron", "begin", "first"),
    [
        ("30 1 * * *", "2099-03-29T00:00+01:00", "2099-03-29T01:30+01:00"),
        ("30 2 * * *", "2099-03-29T00:00+01:00", "2099-03-29T03:00+02:00"),
        ("*/30 2 * * *", "2099-03-29T00:00+01:00", "2099-03-30T02:00+02:00"),
        ("30 2 * * *", "2099-10-25T00:00+02:00", "2099-10-25T02:30+02:00"),
        ("30 2 * * *", "2099-10-25T02:31+02:00", "2099-10-26T02:30+01:00"),
        ("*/30 2 * * *", "2099-10-25T02:31+02:00", "2099-10-25T02:00+01:00"),
        ("0 12 * * MON", "2099-01-02T00:00+01:00", "2099-01-05T12:00+01:00"),
    ],
)
def test_recurring_jobs_keep_to_the_clock_on_the_wall(shop: Caller, cron: str, begin: str, first: str) -> None:
    ok(shop.post("a", cron=cron, timezone="Europe/Berlin", trigger_time=milliseconds(begin)))

    assert shop.get("a")["trigger_time"] == milliseconds(first)


def test_a_bulk_move_leaves_recurring_jobs(shop: Caller) -> None:
    ok(shop.post("a", cron="0 0 1 1 *", trigger_time=None))
    before = shop.get("a")

    assert ok(shop.http.patch(f"{shop.jobs}?all=1", json={"shift_ms": HOUR})) == {"status": "ok", "moved": 0}

    assert shop.get("a") == before


def milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1_000)


@pytest.mark.parametrize("query", ["?all=1", "?route=hook", "?after=0", f"?before={FAR + 1}"])
def test_a_delivered_job_is_never_moved(shop: Caller, query: str) -> None:
    due = shop.fire("done")
    shop.delivered("done")
    make(shop, job("waits"))

    answer = ok(shop.http.patch(shop.jobs + query, json={"trigger_time": now() + SOON}))

    assert answer == {"status": "ok", "moved": 1}
    shop.delivered("waits")
    shop.fire("later")
    shop.delivered("later")
    assert shop.detail("done")["state"] == "delivered" and shop.get("done")["trigger_time"] == due
    assert len(shop.receiver.calls()) == 3
