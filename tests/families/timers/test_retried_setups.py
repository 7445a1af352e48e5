"""What is sent a second time, by a set-up script or over a new connection, changes nothing that it does not name."""

import pytest

from tests.families.timers.shop import FAR, OK, Shop
from tests.machinery.deliveries.making import NOW
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Target

pytestmark = pytest.mark.anyio


async def gone(shop: Shop) -> Target:
    """The route after its receiver has answered 410."""
    shop.transport.status["hook"] = 410
    await shop.post("first", NOW)
    await shop.fire()
    route = await found(shop)
    assert route.paused_at == NOW and "410" in (route.pause_reason or "")
    return route


async def found(shop: Shop) -> Target:
    route = await shop.database.read(targets.find_target, "timers", "shop", "hook")
    assert route is not None
    return route


async def test_a_route_that_answered_410_stays_paused_when_it_is_made_again(shop: Shop) -> None:
    before = await gone(shop)
    shop.clock.now += 1_000

    await shop.route()

    after = await found(shop)
    assert (after.paused_at, after.pause_reason) == (before.paused_at, before.pause_reason)


async def test_a_change_of_something_else_leaves_the_pause_and_its_reason(shop: Shop) -> None:
    before = await gone(shop)
    shop.clock.now += 1_000

    assert (await shop.call("PUT", "/route/shop/hook", {"timeout": 3})).status == 200

    after = await found(shop)
    assert (after.paused_at, after.pause_reason) == (before.paused_at, before.pause_reason)


@pytest.mark.parametrize("how", ["POST", "PUT"])
async def test_who_says_so_resumes_it(shop: Shop, how: str) -> None:
    await gone(shop)

    if how == "POST":
        await shop.route(paused=False)
    else:
        assert (await shop.call("PUT", "/route/shop/hook", {"paused": False})).status == 200

    after = await found(shop)
    assert (after.paused_at, after.pause_reason) == (None, None)


async def test_a_route_that_was_deleted_and_made_again_has_no_old_pause(shop: Shop) -> None:
    await gone(shop)
    assert (await shop.call("DELETE", "/route/shop/hook?force=1")).status == 200

    await shop.route()
    assert (await found(shop)).paused_at is None

    await gone_again(shop)


async def gone_again(shop: Shop) -> None:
    await shop.call("POST", "/route/shop/hook/pause")
    await shop.call("DELETE", "/route/shop/hook?force=1")
    shop.clock.now += 7
    await shop.route(paused=True)
    after = await found(shop)
    assert (after.paused_at, after.pause_reason) == (NOW + 7, None)


async def test_a_key_that_comes_with_the_retry_only_is_kept(shop: Shop) -> None:
    assert (await shop.post("one", FAR)).json == OK
    assert (await shop.post("one", FAR, idempotency_key="k1")).json == OK

    answer = await shop.post("two", FAR, idempotency_key="k1", meta={"of": "one"})

    assert answer.json in ({"status": "ok", "id": "one"}, OK)
    assert [job["id"] for job in await shop.listed()] == ["one"]
    assert (await shop.post("three", FAR + 1, idempotency_key="k1")).status == 400


async def test_a_key_that_it_has_stays(shop: Shop) -> None:
    await shop.post("one", FAR, idempotency_key="k1")
    assert (await shop.post("one", FAR, idempotency_key="k2")).json == OK

    assert (await shop.post("two", FAR + 1, idempotency_key="k1")).status == 400
