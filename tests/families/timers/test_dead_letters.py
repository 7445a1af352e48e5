"""Dead letters: how jobs come to be some, and come back."""

import pytest

from tests.families.timers.shop import FAR, OK, Shop
from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import MINUTE, SECOND

pytestmark = pytest.mark.anyio


async def dead(shop: Shop, query: str = "") -> list[str]:
    return sorted(letter["id"] for letter in (await shop.call("GET", f"/dead/shop{query}")).json["jobs"])


async def replay(shop: Shop, **which: object) -> int:
    answer = await shop.call("POST", "/dead/shop/replay", which)
    assert answer.status == 200, answer.json
    count: int = answer.json["replayed"]
    return count


async def let_die(shop: Shop, *moments: int) -> None:
    """Jobs d0, d1 … that die at these moments."""
    shop.transport.status["hook"] = 500
    for number, moment in enumerate(moments):
        await shop.post(f"d{number}", moment)
    for moment in moments:
        await shop.at(moment)
    shop.transport.status["hook"] = 200


async def test_a_letter_says_what_was_sent_and_why_it_died(shop: Shop) -> None:
    await let_die(shop, NOW + 5)

    [letter] = (await shop.call("GET", "/dead/shop")).json["jobs"]

    assert letter == {
        "id": "d0",
        "trigger_time": NOW + 5,
        "meta": {"of": "d0"},
        "route": "hook",
        "collection": "orders",
        "attempts": 1,
        "died_at": NOW + 5,
        "reason": "answered 500; its only attempt is used up",
    }


async def test_replayed_by_the_time_of_death_from_inclusive_to_exclusive(shop: Shop) -> None:
    await let_die(shop, NOW, NOW + 1, NOW + 2, NOW + 3)

    assert await replay(shop, **{"from": NOW + 1, "to": NOW + 3}) == 2
    await shop.fire()
    assert await dead(shop) == ["d0", "d3"]
    assert await replay(shop, to=NOW + 1) == 1
    assert await replay(shop, **{"from": NOW + 3}) == 1
    await shop.fire()
    assert await dead(shop) == []
    assert sorted(shop.transport.jobs[4:]) == ["d0", "d1", "d2", "d3"]


async def test_replayed_by_id_route_and_collection(shop: Shop) -> None:
    await shop.route("other", retries=[])
    shop.transport.status["hook"] = shop.transport.status["other"] = 500
    for collection in ("orders", "carts"):
        for route in ("hook", "other"):
            job = {"id": f"{collection}-{route}", "trigger_time": NOW, "route": route}
            await shop.call("POST", f"/job/shop/{collection}", job)
    await shop.fire()
    shop.transport.status.clear()
    everything = await dead(shop)
    assert len(everything) == 4

    assert await replay(shop, ids=everything, collection="nowhere") == 0
    assert await replay(shop, ids=everything, route="nowhere") == 0
    assert await replay(shop, ids=["nobody"]) == 0
    assert await replay(shop, ids=everything, collection="orders", route="other") == 1
    assert await replay(shop, ids=["carts-hook"]) == 1
    assert await replay(shop, **{"from": 0, "route": "other"}) == 1
    await shop.fire()
    assert await dead(shop) == ["orders-hook"]


async def test_one_that_is_no_letter_is_not_replayed(shop: Shop) -> None:
    await shop.post("waiting", FAR)
    await shop.post("delivered", NOW)
    await shop.fire()

    assert await replay(shop, ids=["waiting", "delivered"]) == 0
    await shop.fire()
    assert shop.transport.jobs == ["delivered"]


async def test_a_replay_is_a_whole_new_life(shop: Shop) -> None:
    await shop.route(retries=[1.0])
    shop.transport.status["hook"] = 500
    await shop.post("a", NOW)
    await shop.fire()
    await shop.at(NOW + 2 * SECOND)
    assert await dead(shop) == ["a"]

    await replay(shop, ids=["a"])
    await shop.fire()
    detail = await shop.detail("a")
    assert (detail["state"], detail["attempts"]) == ("retrying", 1)
    await shop.at(NOW + 5 * SECOND)
    assert await dead(shop) == ["a"]

    attempts = (await shop.call("GET", "/job/shop/orders/a/attempts")).json["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500] * 4
    assert len({webhook_id for _, webhook_id, _ in shop.transport.sent}) == 1


async def test_a_dead_job_can_be_deleted_moved_and_given_another_route(shop: Shop) -> None:
    await shop.route("good")
    await let_die(shop, NOW, NOW + 1, NOW + 2)

    assert (await shop.delete("d0")).json == OK
    assert (await shop.put("d1", trigger_time=NOW + MINUTE)).json == OK
    assert (await shop.put("d2", route="good", trigger_time=NOW + MINUTE)).json == OK
    await shop.at(NOW + MINUTE)

    assert await dead(shop) == []
    assert sorted(shop.transport.jobs[3:]) == ["d1", "d2"]


async def test_jobs_of_a_route_that_was_removed_die_when_they_are_due_and_live_when_it_is_made_again(
    shop: Shop,
) -> None:
    for number in range(3):
        await shop.post(f"r{number}", NOW + 10 + number)
    assert (await shop.call("DELETE", "/route/shop/hook")).code == "E019"
    assert (await shop.call("DELETE", "/route/shop/hook?force=1")).json == OK
    assert (await shop.call("GET", "/route/shop/hook")).code == "E018"
    assert (await shop.post("new", NOW + 10)).code == "E006"

    await shop.at(NOW + 11)
    assert await dead(shop, "?route=hook") == ["r0", "r1"]
    assert (await shop.detail("r0"))["reason"] == "its route was removed"
    assert (await shop.detail("r0"))["attempts"] == 0
    assert (await shop.detail("r2"))["state"] == "scheduled"

    await shop.route()
    await replay(shop, ids=["r0"])
    await shop.at(NOW + 12)
    assert sorted(shop.transport.jobs) == ["r0", "r2"]
    assert await dead(shop) == ["r1"]


async def test_held_jobs_of_a_route_that_is_removed_die_too(shop: Shop) -> None:
    await shop.post("a", NOW)
    await shop.call("POST", "/route/shop/hook/pause")
    await shop.fire()
    assert (await shop.detail("a"))["state"] == "held"

    await shop.call("DELETE", "/route/shop/hook?force=1")
    await shop.at(NOW + SECOND)

    assert await dead(shop) == ["a"]
    assert shop.transport.sent == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "E025"),
        ({"collection": "orders"}, "E025"),
        ({"ids": "d0"}, "E001"),
        ({"ids": [1]}, "E001"),
        ({"from": "now"}, "E001"),
        ([], "E001"),
    ],
)
async def test_replays_that_are_refused(shop: Shop, body: object, code: str) -> None:
    assert (await shop.call("POST", "/dead/shop/replay", body)).code == code
