"""Single jobs by a clock that stands still: the millisecond at which one thing becomes another."""

import pytest

from tests.families.timers.shop import FAR, OK, Shop
from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import END_OF_TIME, HOUR, MINUTE, SECOND
from undercroft.families.timers.model import CLOCK_SKEW
from undercroft.machinery.deliveries.model import State

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("trigger_time", "query", "code"),
    [
        (NOW, "", None),
        (NOW - CLOCK_SKEW, "", None),
        (NOW - CLOCK_SKEW - 1, "", "E004"),
        (NOW - CLOCK_SKEW - 1, "?late=fire", None),
        (0, "?late=fire", None),
        (-1, "?late=fire", "E003"),
        (END_OF_TIME, "", None),
        (END_OF_TIME + 1, "", "E003"),
    ],
)
async def test_when_a_job_may_be_for(shop: Shop, trigger_time: int, query: str, code: str | None) -> None:
    answer = await shop.post("a", trigger_time, query=query)

    assert answer.code == code
    await shop.fire()
    assert shop.transport.jobs == (["a"] if code is None and trigger_time <= NOW else [])


async def test_the_same_again_changes_nothing_whatever_became_of_it(shop: Shop) -> None:
    assert (await shop.post("a", NOW)).json == OK
    assert (await shop.post("a", NOW)).json == OK
    await shop.fire()
    assert (await shop.post("a", NOW)).json == OK
    await shop.fire()

    assert shop.transport.jobs == ["a"]
    assert (await shop.detail("a"))["state"] == "delivered"


async def test_an_upsert_of_a_delivered_job_begins_another_life_under_another_id(shop: Shop) -> None:
    await shop.post("a", NOW)
    await shop.fire()
    assert (await shop.post("a", NOW + 1, meta=2)).code == "E007"
    assert (await shop.post("a", NOW + 1, meta=2, query="?upsert=1")).json == OK
    await shop.at(NOW + 1)

    assert shop.transport.jobs == ["a", "a"]
    first, second = [webhook_id for _, webhook_id, _ in shop.transport.sent]
    assert first != second


async def test_what_is_under_way_is_neither_changed_nor_deleted(shop: Shop) -> None:
    await shop.post("a", NOW)
    shop.transport.hanging.add("hook")
    await shop.fire()

    assert (await shop.delete("a")).code == "E010"
    assert (await shop.put("a", trigger_time=FAR)).code == "E010"
    assert (await shop.post("a", FAR, query="?upsert=1")).code == "E010"
    deleted = (await shop.call("DELETE", "/job/shop/orders?all=1")).json
    assert (deleted["deleted"], deleted["in_flight"]) == (0, 1)
    assert (await shop.call("PATCH", "/job/shop/orders?all=1", {"shift_ms": HOUR})).json["moved"] == 0

    shop.transport.go_on.set()
    await shop.let_go_on()
    assert (await shop.detail("a"))["state"] == "delivered"
    assert (await shop.delete("a")).json == OK


async def test_after_a_delete_nothing_fires_though_it_was_expected(shop: Shop) -> None:
    await shop.post("a", NOW + 1)
    await shop.upkeep.look_ahead(NOW)
    assert (await shop.delete("a")).json == OK

    await shop.at(NOW + MINUTE)
    assert shop.transport.jobs == []
    assert (await shop.delete("a")).code == "E008"


async def test_a_job_that_waits_for_its_next_attempt_is_deleted_and_moved_like_others(shop: Shop) -> None:
    await shop.route(retries=[60.0])
    shop.transport.status["hook"] = 500
    for id in ("a", "b"):
        await shop.post(id, NOW)
    await shop.fire()
    assert [(await shop.detail(id))["state"] for id in ("a", "b")] == ["retrying"] * 2

    assert (await shop.delete("a")).json == OK
    assert (await shop.put("b", trigger_time=NOW + HOUR)).json == OK
    moved = await shop.detail("b")
    assert (moved["state"], moved["attempts"], moved["next_attempt"]) == ("scheduled", 0, NOW + HOUR)

    await shop.at(NOW + 2 * MINUTE)
    assert len(shop.transport.sent) == 2
    await shop.at(NOW + HOUR)
    assert shop.transport.jobs[2:] == ["b"]


async def test_an_update_keeps_what_it_does_not_name(shop: Shop) -> None:
    await shop.route("other")
    await shop.post("a", FAR, meta={"x": [1, 2.50]}, retries=[1, 2])

    assert (await shop.put("a", trigger_time=FAR + 1)).json == OK
    assert (await shop.put("a", route="other", id="a")).json == OK
    assert (await shop.put("a", meta=None)).json == OK
    assert (await shop.put("a", trigger_ms=FAR + 2)).json == OK
    found = await shop.detail("a")
    assert (found["trigger_time"], found["meta"], found["route"], found["retries"]) == (
        FAR + 2,
        None,
        "other",
        [1.0, 2.0],
    )

    assert (await shop.put("a", id="b")).code == "E009"
    assert (await shop.put("nobody", trigger_time=FAR)).code == "E008"
    assert (await shop.put("a", route="nowhere")).code == "E006"
    assert (await shop.put("a", trigger_time=NOW - HOUR)).code == "E004"
    assert await shop.detail("a") == found


async def test_dbs_and_collections_are_apart(shop: Shop) -> None:
    await shop.call("POST", "/route/other", {"id": "hook", "type": "REST", "webhook_url": "127.0.0.1:9/"})
    for place, meta in (("shop/orders", 1), ("shop/carts", 2), ("other/orders", 3)):
        job = {"id": "a", "trigger_time": FAR, "meta": meta, "route": "hook"}
        assert (await shop.call("POST", f"/job/{place}", job)).json == OK

    await shop.call("DELETE", "/job/shop/carts/a")
    assert (await shop.call("GET", "/job/shop/orders/a")).json["meta"] == 1
    assert (await shop.call("GET", "/job/other/orders/a")).json["meta"] == 3
    assert (await shop.call("DELETE", "/job/other/orders?all=1")).json["deleted"] == 1
    assert len(await shop.listed()) == 1

    await shop.route("only-here")
    job = {"id": "b", "trigger_time": FAR, "route": "only-here"}
    assert (await shop.call("POST", "/job/other/orders", job)).code == "E006"


async def test_ids_that_are_anything(shop: Shop) -> None:
    ids = [
        "_",
        ".",
        "..",
        ":",
        "/",
        "a/b",
        "%2F",
        "%",
        "ü",
        "日本",
        "😀",
        "\n",
        '"',
        "'",
        "\\",
        " ",
        "a" * 512,
        "é" * 256,
    ]
    for id in ids:
        assert (await shop.post(id, NOW)).json == OK
    for id in ids:
        assert (await shop.call("GET", shop.path(id))).json["id"] == id
    assert sorted(job["id"] for job in await shop.listed("limit=3")) == sorted(ids)

    await shop.fire()
    assert sorted(shop.transport.jobs) == sorted(ids)
    assert {state.name for state in await shop.states()} == {State.DELIVERED.name}


async def test_keys_and_ids_of_one_request_are_not_mixed_up(shop: Shop) -> None:
    """The first collides by its key, the second has its id: the second is the one that is created."""
    await shop.post("first", FAR, idempotency_key="k")
    bulk = [
        {"id": "x", "trigger_time": FAR, "meta": "of the key", "route": "hook", "idempotency_key": "k"},
        {"id": "x", "trigger_time": FAR, "meta": "of the id", "route": "hook"},
    ]

    report = (await shop.call("POST", "/job/shop/orders?report=1", bulk)).json

    assert [result["status"] for result in report["results"]] == ["refused", "ok"]
    assert report["results"][0]["code"] == "E022"
    assert (await shop.call("GET", "/job/shop/orders/x")).json["meta"] == "of the id"


async def test_the_same_id_twice_in_one_request(shop: Shop) -> None:
    job = {"id": "x", "trigger_time": FAR, "meta": 1, "route": "hook"}

    assert (await shop.call("POST", "/job/shop/orders", [job, job])).json["ids"] == ["x", "x"]
    answer = await shop.call("POST", "/job/shop/orders", [{**job, "id": "y"}, {**job, "id": "y", "meta": 2}])
    assert answer.code == "E024"
    assert (await shop.call("GET", "/job/shop/orders/y")).code == "E008"


async def test_an_idempotency_key_is_remembered_as_long_as_its_job(shop: Shop) -> None:
    assert (await shop.post("a", NOW, idempotency_key="k", meta=1)).json == OK
    made = await shop.call(
        "POST",
        "/job/shop/orders",
        {"trigger_time": NOW, "route": "hook", "meta": 1, "idempotency_key": "k"},
    )
    assert made.json == {"status": "ok", "id": "a"}
    assert (await shop.post("b", NOW, idempotency_key="k", meta=2)).code == "E022"

    await shop.fire()
    await shop.fire()
    assert shop.transport.jobs == ["a"]
    await shop.delete("a")
    assert (await shop.post("b", FAR, idempotency_key="k", meta=2)).json == OK


async def test_the_order_of_times_is_the_order_of_calls(shop: Shop) -> None:
    await shop.route(concurrency=1)
    for number in (5, 3, 1, 4, 2):
        await shop.post(f"n{number}", NOW + number * SECOND)

    await shop.at(NOW + MINUTE)

    assert shop.transport.jobs == ["n1", "n2", "n3", "n4", "n5"]
