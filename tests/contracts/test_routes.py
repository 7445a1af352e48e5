"""The decisions on routes: kinds, addresses, secrets, what becomes of their jobs."""

from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.contracts.caller import FAR, OK, Caller, encoded, ok, refused
from tests.services.receiver import Answer
from tests.services.waiting import wait_until

OWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("kind", ["REST", "rest", "Rest", "http", "HTTP", "Http"])
def test_the_type_in_any_case(bare: Caller, kind: str) -> None:
    bare.make_route(type=kind)

    url = bare.receiver.url("/hook")
    assert ok(bare.http.get(f"{bare.routes}/hook")) == {"id": "hook", "type": "REST", "webhook_url": url}


def test_an_address_without_a_scheme(bare: Caller) -> None:
    address = f"127.0.0.1:{bare.receiver.port}/timer?action=endgame&x=%2F"
    bare.make_route(webhook_url=address)
    assert ok(bare.http.get(f"{bare.routes}/hook"))["webhook_url"] == address

    bare.fire("a")

    call = bare.delivered("a")
    assert (call.path, call.query) == ("/timer", "action=endgame&x=%2F")


def test_an_unknown_route_is_refused_at_once(bare: Caller, shop: Caller) -> None:
    refused(bare.post("a", route="nowhere"), "E006")

    elsewhere = f"/job/{bare.db}-other/carts"
    refused(bare.http.post(elsewhere, json={"trigger_time": FAR, "route": "hook"}), "E006")
    assert bare.listed() == []


def test_a_route_that_is_deleted_leaves_its_jobs_to_be_replayed(shop: Caller) -> None:
    shop.fire("a", meta=7)
    refused(shop.http.delete(f"{shop.routes}/hook"), "E019")
    assert ok(shop.http.delete(f"{shop.routes}/hook?force=1")) == OK
    refused(shop.http.get(f"{shop.routes}/hook"), "E018")
    refused(shop.post("b"), "E006")

    shop.wait_for("a", "dead")
    assert shop.dead_ids() == ["a"]
    assert shop.receiver.calls() == []

    shop.make_route()
    assert ok(shop.http.post(f"{shop.dead}/replay", json={"ids": ["a"]})) == {"status": "ok", "replayed": 1}
    assert shop.delivered("a").body == b"7"
    assert shop.dead_ids() == []


def test_a_route_without_pending_jobs_needs_no_force(shop: Caller) -> None:
    shop.fire("a")
    shop.delivered("a")

    assert ok(shop.http.delete(f"{shop.routes}/hook")) == OK
    refused(shop.http.delete(f"{shop.routes}/hook"), "E018")
    refused(shop.http.put(f"{shop.routes}/hook", json={"timeout": 1}), "E018")
    assert shop.get("a")["route"] == "hook"


def test_details_of_a_route(bare: Caller) -> None:
    bare.make_route()
    plain = {"id": "hook", "type": "REST", "webhook_url": bare.receiver.url("/hook")}
    defaults = {
        "secret": False, "headers": {}, "timeout": 15.0, "retries": None, "concurrency": 32, "rate": None,
        "paused": False, "pause_reason": None, "method": "POST",
    }  # fmt: skip

    assert list(bare.route().items()) == list({**plain, **defaults}.items())
    assert ok(bare.http.get(f"{bare.routes}/hook")) == plain


def test_put_changes_what_it_names_and_null_is_the_default(bare: Caller) -> None:
    bare.make_route(timeout=3, rate=7, headers={"X-Shop": "7"}, method="PUT", retries=[1])

    assert ok(bare.http.put(f"{bare.routes}/hook", json={"timeout": None, "concurrency": 2})) == OK
    refused(bare.http.put(f"{bare.routes}/hook", json={"id": "other"}), "E009")

    changed = bare.route()
    assert (changed["timeout"], changed["concurrency"], changed["rate"]) == (15, 2, 7)
    assert (changed["headers"], changed["method"], changed["retries"]) == ({"X-Shop": "7"}, "PUT", [1])


def test_routes_are_listed_by_name_and_in_pages(bare: Caller) -> None:
    for id in ("c", "a", "b"):
        bare.make_route(id)

    first = ok(bare.http.get(f"{bare.routes}?limit=2"))
    rest = ok(bare.http.get(f"{bare.routes}?limit=2&cursor={first['cursor']}"))

    assert [route["id"] for route in first["routes"] + rest["routes"]] == ["a", "b", "c"]
    assert first["routes"][0] == bare.route("a")
    assert rest["cursor"] is None


def test_its_own_headers_and_method_are_sent(bare: Caller) -> None:
    bare.make_route(headers={"X-Shop": "7", "Authorization": "Bearer hunter2"}, method="PUT")
    bare.fire("a")

    call = bare.delivered("a")

    assert (call.method, call.headers["x-shop"], call.headers["authorization"]) == ("PUT", "7", "Bearer hunter2")
    assert "hunter2" not in str(bare.route())


def test_a_call_that_takes_too_long_has_failed(bare: Caller) -> None:
    bare.make_route(timeout=0.2, retries=[0, 0, 0])
    bare.receiver.answer("/hook", Answer(delay=30), Answer())

    bare.fire("a")

    bare.wait_for("a", "delivered")
    first, *others = [attempt["status"] for attempt in bare.attempts("a")]
    assert first is None and others[-1] == 200


def test_a_secret_is_made_once_and_never_shown_again(bare: Caller) -> None:
    made = bare.make_route(secret=True)
    assert list(made) == ["status", "secret"] and made["secret"].startswith("whsec_")

    assert bare.make_route(secret=True) == OK
    shown = [bare.http.get(f"{bare.routes}{path}").text for path in ("", "/hook", "/hook?detail=1")]
    assert not any(made["secret"] in text for text in shown)
    assert bare.route()["secret"] is True

    bare.fire("a", meta={"n": 1})
    call = bare.delivered("a")
    assert Webhook(made["secret"]).verify(call.body, dict(call.headers)) == {"n": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(OWN_SECRET).verify(call.body, dict(call.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(call.body + b" ", dict(call.headers))


def test_a_new_secret_signs_beside_the_one_before(bare: Caller) -> None:
    assert bare.make_route(secret=OWN_SECRET) == OK

    second = ok(bare.http.put(f"{bare.routes}/hook", json={"secret": True}))["secret"]
    bare.fire("a")
    call = bare.delivered("a")

    assert len(call.headers["webhook-signature"].split(" ")) == 2
    for secret in (OWN_SECRET, second):
        Webhook(secret).verify(call.body, dict(call.headers))

    third = ok(bare.http.put(f"{bare.routes}/hook", json={"secret": True}))["secret"]
    bare.fire("b")
    call = bare.delivered("b")
    for secret in (second, third):
        Webhook(secret).verify(call.body, dict(call.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OWN_SECRET).verify(call.body, dict(call.headers))


def test_a_paused_route_holds_what_falls_due(shop: Caller) -> None:
    assert ok(shop.http.post(f"{shop.routes}/hook/pause")) == OK
    assert shop.route()["paused"] is True
    shop.fire("a")
    shop.wait_for("a", "held")
    assert shop.listed("?state=held") == ["a"]
    assert shop.receiver.calls() == []

    assert ok(shop.http.post(f"{shop.routes}/hook/resume")) == OK

    shop.delivered("a")
    assert shop.route()["paused"] is False


def test_a_paused_collection_holds_its_own_jobs_only(shop: Caller) -> None:
    control = f"/collection/{shop.db}/carts"
    assert ok(shop.http.post(f"{control}/pause")) == OK
    shop.fire("a")
    shop.wait_for("a", "held")
    due = shop.detail("a")["trigger_time"]
    ok(shop.http.post(f"/job/{shop.db}/games", json={"id": "b", "trigger_time": due, "route": "hook"}))
    assert shop.receiver.wait_for(1)[0].headers["x-undercroft-job"] == "b"

    assert ok(shop.http.post(f"{control}/resume")) == OK

    shop.delivered("a")


def test_a_receiver_that_is_gone_pauses_its_route(bare: Caller) -> None:
    bare.make_route(retries=[0, 0, 0])
    bare.receiver.answer("/hook", Answer(410), Answer())

    bare.fire("a")

    assert bare.wait_for("a", "dead")["attempts"] == 1
    wait_until(lambda: bare.route()["paused"], "the route to be paused")
    assert "410" in bare.route()["pause_reason"]
    bare.fire("b")
    bare.wait_for("b", "held")
    assert len(bare.receiver.calls()) == 1
    assert ok(bare.http.post(f"{bare.routes}/hook/resume")) == OK
    bare.delivered("b")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": ""}, "E011"),
        ({"id": "x" * 513}, "E011"),
        ({"type": "Kafka"}, "E012"),
        ({"type": 5}, "E001"),
        ({"webhook_url": ""}, "E013"),
        ({"webhook_url": "ftp://example.com/"}, "E013"),
        ({"webhook_url": "http://"}, "E013"),
        ({"secret": "hunter2"}, "E014"),
        ({"headers": {"webhook-id": "mine"}}, "E015"),
        ({"headers": {"X-Shop": "7\r\nX-Other: 8"}}, "E015"),
        ({"timeout": 0}, "E016"),
        ({"concurrency": 0}, "E016"),
        ({"rate": 0}, "E016"),
        ({"method": "GET"}, "E016"),
        ({"retries": [-1]}, "E017"),
    ],
)
def test_what_is_wrong_with_a_route_has_its_code(bare: Caller, fields: dict[str, Any], code: str) -> None:
    given = {"id": "hook", "type": "REST", "webhook_url": bare.receiver.url("/hook"), **fields}

    refused(bare.http.post(bare.routes, json=given), code)

    assert ok(bare.http.get(bare.routes)) == {"routes": [], "cursor": None}


@pytest.mark.parametrize("missing", [("type", "E012"), ("webhook_url", "E013"), ("id", "E011")])
def test_what_a_route_needs(bare: Caller, missing: tuple[str, str]) -> None:
    given = {"id": "hook", "type": "REST", "webhook_url": "127.0.0.1:9/"}
    given.pop(missing[0])

    refused(bare.http.post(bare.routes, json=given), missing[1])


@pytest.mark.parametrize("id", ["_.:/%2F", "größe", "r" * 512])
def test_any_text_is_a_routes_id(bare: Caller, id: str) -> None:
    ok(bare.http.post(bare.routes, json={"id": id, "type": "REST", "webhook_url": bare.receiver.url("/hook")}))
    ok(bare.post("a", route=id))

    assert ok(bare.http.get(f"{bare.routes}/{encoded(id)}"))["id"] == id
    assert bare.get("a")["route"] == id
