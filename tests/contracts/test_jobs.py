"""The decisions on single jobs: what is taken, what it becomes, what is refused with which code."""

from typing import Any

import pytest

from tests.contracts.caller import FAR, HOUR, OK, SOON, Caller, encoded, now, ok, refused
from tests.services.croft import Croft
from tests.services.receiver import Receiver

DETAILS = ["state", "attempts", "last_outcome", "next_attempt", "reason", "created_at", "cron", "timezone", "retries"]


def test_the_same_again_is_a_retry_and_other_content_a_conflict(shop: Caller) -> None:
    assert ok(shop.post("a", meta={"n": 1})) == OK
    assert ok(shop.post("a", meta={"n": 1})) == OK

    refused(shop.post("a", meta={"n": 2}), "E007")
    refused(shop.post("a", meta={"n": 1}, trigger_time=FAR + 1), "E007")
    refused(shop.post("a", meta={"n": 1}, retries=[1]), "E007")
    shop.make_route("other")
    refused(shop.post("a", meta={"n": 1}, route="other"), "E007")
    assert shop.get("a") == {"id": "a", "trigger_time": FAR, "meta": {"n": 1}, "route": "hook"}

    assert ok(shop.post("a", "?upsert=1", meta={"n": 2}, trigger_time=FAR + 1, route="other")) == OK
    assert shop.get("a") == {"id": "a", "trigger_time": FAR + 1, "meta": {"n": 2}, "route": "other"}


def test_a_retry_of_a_delivered_job_fires_nothing(shop: Caller) -> None:
    due = shop.fire("a")
    shop.delivered("a")

    assert ok(shop.post("a", trigger_time=due)) == OK

    shop.fire("later")
    shop.delivered("later")
    assert len(shop.receiver.calls("/hook")) == 2


def test_put_changes_what_it_names(shop: Caller) -> None:
    refused(shop.put("a", trigger_time=FAR), "E008")
    shop.post("a", meta={"n": 1})

    refused(shop.put("a", id="b", meta=2), "E009")
    refused(shop.put("a", route="nowhere"), "E006")
    refused(shop.put("a", trigger_time=now() - HOUR), "E004")
    assert shop.get("a") == {"id": "a", "trigger_time": FAR, "meta": {"n": 1}, "route": "hook"}

    assert ok(shop.put("a", trigger_time=FAR + 5)) == OK
    assert shop.get("a") == {"id": "a", "trigger_time": FAR + 5, "meta": {"n": 1}, "route": "hook"}
    assert ok(shop.put("a", id="a", meta=None)) == OK
    assert shop.get("a") == {"id": "a", "trigger_time": FAR + 5, "meta": None, "route": "hook"}
    refused(shop.http.get(shop.path("b")), "E008")


def test_put_of_a_delivered_job_needs_a_new_time(shop: Caller) -> None:
    shop.fire("a")
    first = shop.delivered("a")

    refused(shop.put("a", meta="changed"), "E004")
    assert shop.get("a")["meta"] is None
    assert ok(shop.put("a", meta="changed", trigger_time=now() + SOON)) == OK

    second = shop.receiver.wait_for(2)[1]
    assert second.body == b'"changed"'
    assert second.headers["webhook-id"] != first.headers["webhook-id"]
    assert second.headers["x-undercroft-attempt"] == "1"


def test_the_past_is_refused_but_for_five_seconds(shop: Caller) -> None:
    refused(shop.post("old", trigger_time=now() - 6_000), "E004")
    refused(shop.post("old", "?late=maybe", trigger_time=now() - 6_000), "E023")
    refused(shop.http.get(shop.path("old")), "E008")

    assert ok(shop.post("skewed", trigger_time=now() - 3_000)) == OK
    assert ok(shop.post("late", "?late=fire", trigger_time=now() - 24 * HOUR)) == OK

    shop.delivered("skewed")
    shop.delivered("late")


def test_put_with_late_fires_at_once(shop: Caller) -> None:
    shop.post("a")

    assert ok(shop.put("a", "?late=fire", trigger_time=now() - HOUR)) == OK

    shop.delivered("a")


def test_trigger_ms_is_read_too(shop: Caller) -> None:
    ok(shop.http.post(shop.jobs, json={"id": "a", "trigger_ms": FAR, "route": "hook"}))
    assert list(shop.get("a").items()) == [("id", "a"), ("trigger_time", FAR), ("meta", None), ("route", "hook")]

    assert ok(shop.put("a", trigger_ms=FAR + 1)) == OK
    assert shop.get("a")["trigger_time"] == FAR + 1


def test_an_id_is_made_where_there_is_none(shop: Caller) -> None:
    made = [ok(shop.post(meta=number)) for number in range(2)]

    assert [list(answer) for answer in made] == [["status", "id"]] * 2
    assert made[0]["id"] != made[1]["id"]
    assert [shop.get(answer["id"])["meta"] for answer in made] == [0, 1]


def test_an_idempotency_key_stands_for_an_id(shop: Caller) -> None:
    first = ok(shop.post(idempotency_key="k"))

    assert ok(shop.post(idempotency_key="k")) == first
    refused(shop.post(idempotency_key="k", meta=1), "E022")
    assert shop.listed() == [first["id"]]


def test_details_only_where_they_are_asked_for(shop: Caller) -> None:
    before = now()
    shop.post("a", retries=[1, 2.5])

    assert list(shop.get("a")) == ["id", "trigger_time", "meta", "route"]
    detail = shop.detail("a")
    assert list(detail) == ["id", "trigger_time", "meta", "route", *DETAILS]
    assert before <= detail.pop("created_at") <= now()
    assert [detail[name] for name in DETAILS if name in detail] == [
        "scheduled", 0, None, FAR, None, None, None, [1, 2.5],
    ]  # fmt: skip


def test_details_of_a_delivered_job(shop: Caller) -> None:
    due = shop.fire("a")

    detail = shop.wait_for("a", "delivered")

    assert (detail["attempts"], detail["next_attempt"]) == (1, None)
    outcome = detail["last_outcome"]
    assert list(outcome) == ["at", "took_ms", "status", "error"]
    assert outcome["at"] >= due and (outcome["status"], outcome["error"]) == (200, None)
    assert list(shop.get("a")) == ["id", "trigger_time", "meta", "route"]


def test_a_deleted_job_does_not_fire(shop: Caller) -> None:
    shop.fire("gone")
    assert ok(shop.http.delete(shop.path("gone"))) == OK

    refused(shop.http.delete(shop.path("gone")), "E008")
    shop.fire("later")
    shop.delivered("later")
    assert len(shop.receiver.calls()) == 1


@pytest.mark.parametrize(
    "id",
    ["_", ".", "..", ":", "/", "%2F", "a_b.c:d/e%2Ff", "größe 🗝 ключ", "two\nlines", "?x=1#y", "x" * 512, "ü" * 256],
)
def test_any_text_is_an_id(shop: Caller, id: str) -> None:
    assert ok(shop.post(id)) == OK
    assert ok(shop.put(id, meta=id)) == OK
    assert shop.get(id) == {"id": id, "trigger_time": FAR, "meta": id, "route": "hook"}
    assert shop.listed() == [id]
    assert ok(shop.http.get(f"{shop.path(id)}/attempts")) == {"attempts": [], "cursor": None}
    assert ok(shop.http.delete(shop.path(id))) == OK
    assert shop.listed() == []


def test_ids_that_look_alike_are_different_jobs(shop: Caller) -> None:
    for id in ("a/b", "a%2Fb", "a_b", "A/B"):
        ok(shop.post(id, meta=id))

    assert [shop.get(id)["meta"] for id in ("a/b", "a%2Fb", "a_b", "A/B")] == ["a/b", "a%2Fb", "a_b", "A/B"]


def test_an_id_is_one_jobs_in_its_collection_only(shop: Caller) -> None:
    elsewhere = f"/job/{shop.db}/games"
    shop.post("a", meta=1)

    ok(shop.http.post(elsewhere, json={"id": "a", "trigger_time": FAR, "meta": 2, "route": "hook"}))

    assert ok(shop.http.delete(shop.path("a"))) == OK
    assert ok(shop.http.get(f"{elsewhere}/a"))["meta"] == 2


@pytest.mark.parametrize("name", ["_.:/%2F", "größe", "n" * 128, "ü" * 64])
def test_any_text_names_a_db_and_a_collection(croft: Croft, receiver: Receiver, name: str) -> None:
    caller = Caller(croft, receiver, db=name)
    caller.jobs = f"/job/{encoded(name)}/{encoded(name)}"

    caller.make_route()
    assert ok(caller.post("a")) == OK

    assert caller.listed() == ["a"]
    assert ok(caller.http.delete(caller.path("a"))) == OK


@pytest.mark.parametrize("name", ["n" * 129, "ü" * 64 + "n"])
def test_longer_names_are_refused(shop: Caller, name: str) -> None:
    job = {"trigger_time": FAR, "route": "hook"}

    refused(shop.http.post(f"/job/{encoded(name)}/carts", json=job), "E020")
    refused(shop.http.post(f"/job/{shop.db}/{encoded(name)}", json=job), "E020")
    refused(shop.http.get(f"/route/{encoded(name)}"), "E020")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": ""}, "E002"),
        ({"id": "x" * 513}, "E002"),
        ({"id": "ü" * 256 + "x"}, "E002"),
        ({"id": 5}, "E001"),
        ({"trigger_time": "soon"}, "E001"),
        ({"trigger_time": 1.5}, "E001"),
        ({"trigger_time": None}, "E003"),
        ({"trigger_time": -1}, "E003"),
        ({"trigger_time": 253_402_300_800_000}, "E003"),
        ({"trigger_time": 1667659342626}, "E004"),
        ({"route": None}, "E005"),
        ({"route": ""}, "E005"),
        ({"route": "nowhere"}, "E006"),
        ({"retries": [-1]}, "E017"),
        ({"retries": [1] * 51}, "E017"),
        ({"cron": "every day"}, "E021"),
        ({"cron": "0 2 * * *", "timezone": "Mars/Base"}, "E021"),
        ({"timezone": "Europe/Berlin"}, "E021"),
        ({"meta": "x" * (2**20 - 1)}, "E026"),
    ],
)
def test_what_is_wrong_with_a_job_has_its_code(shop: Caller, fields: dict[str, Any], code: str) -> None:
    refused(shop.post(**{"id": "wrong", **fields}), code)

    assert shop.listed() == []


@pytest.mark.parametrize("body", [b"", b"{", b"null", b'"job"', b'{"id": "a"} {}', b'{"id": "\xff"}'])
def test_what_is_not_a_job_at_all(shop: Caller, body: bytes) -> None:
    refused(shop.http.post(shop.jobs, content=body), "E001")


def test_meta_may_be_a_mebibyte(shop: Caller) -> None:
    largest = "x" * (2**20 - 2)

    assert ok(shop.post("a", meta=largest)) == OK

    assert shop.get("a")["meta"] == largest
    refused(shop.put("a", meta=largest + "x"), "E026")
    refused(shop.post("b", meta="x" * 2**21), "E032", 413)


@pytest.mark.parametrize("query", ["?upsert=perhaps", "?upset=1", "?late=yes"])
def test_a_misspelt_parameter_is_refused(shop: Caller, query: str) -> None:
    refused(shop.post("a", query), "E023")

    assert shop.listed() == []
