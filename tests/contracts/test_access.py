"""The decisions on who may do what: tokens and their scopes, and the bodies of 401 and 403."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.contracts.caller import FAR, OK, Caller, ok, refused

As = Callable[[str | None], httpx.Client]


@pytest.fixture
def speak_as(shop: Caller) -> Iterator[As]:
    """A client that sends this Authorization header, or none."""
    with ExitStack() as opened:

        def speak(authorization: str | None) -> httpx.Client:
            headers = {} if authorization is None else {"Authorization": authorization}
            return opened.enter_context(httpx.Client(base_url=shop.url, headers=headers, trust_env=False))

        yield speak


def token_for(caller: Caller, *scopes: str) -> str:
    made = ok(caller.http.post("/undercroft/tokens", json={"name": "test", "scopes": list(scopes)}))
    token: str = made["token"]
    return token


def paths(db: str) -> list[tuple[str, str]]:
    return [
        ("POST", f"/job/{db}/carts"),
        ("GET", f"/job/{db}/carts"),
        ("DELETE", f"/job/{db}/carts?all=1"),
        ("PATCH", f"/job/{db}/carts?all=1"),
        ("GET", f"/job/{db}/carts/kept"),
        ("PUT", f"/job/{db}/carts/kept"),
        ("DELETE", f"/job/{db}/carts/kept"),
        ("GET", f"/job/{db}/carts/kept/attempts"),
        ("POST", f"/route/{db}"),
        ("GET", f"/route/{db}"),
        ("GET", f"/route/{db}/hook"),
        ("PUT", f"/route/{db}/hook"),
        ("DELETE", f"/route/{db}/hook?force=1"),
        ("POST", f"/route/{db}/hook/pause"),
        ("POST", f"/collection/{db}/carts/pause"),
        ("GET", f"/dead/{db}"),
        ("POST", f"/dead/{db}/replay"),
    ]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong"])
def test_without_a_token_nothing_is_done(shop: Caller, speak_as: As, authorization: str | None) -> None:
    shop.post("kept")
    stranger = speak_as(authorization)

    for method, path in paths(shop.db):
        refused(stranger.request(method, path, json={}), "E030", 401)

    assert shop.detail("kept")["state"] == "scheduled" and shop.route()["paused"] is False


def test_a_token_for_one_db_does_nothing_in_another(shop: Caller, speak_as: As) -> None:
    shop.post("kept")
    neighbour = speak_as(f"Bearer {token_for(shop, f'timers:{shop.db}-other')}")

    for method, path in paths(shop.db):
        refused(neighbour.request(method, path, json={}), "E031", 403)

    assert shop.detail("kept")["state"] == "scheduled" and shop.route()["paused"] is False
    assert ok(neighbour.get(f"/job/{shop.db}-other/carts")) == {"jobs": [], "cursor": None}


@pytest.mark.parametrize("scheme", ["Bearer ", "Token ", ""])
@pytest.mark.parametrize("narrow", [True, False])
def test_a_token_for_this_db_or_for_all_timers(shop: Caller, speak_as: As, scheme: str, narrow: bool) -> None:
    token = token_for(shop, f"timers:{shop.db}" if narrow else "timers")
    friend = speak_as(scheme + token)

    assert ok(friend.post(shop.jobs, json={"id": "a", "trigger_time": FAR, "route": "hook"})) == OK
    assert ok(friend.get(f"{shop.routes}/hook"))["id"] == "hook"
    assert ok(friend.delete(f"{shop.jobs}/a")) == OK
    elsewhere = friend.get(f"/job/{shop.db}-other/carts")
    assert elsewhere.status_code == (403 if narrow else 200)


def test_a_revoked_token_is_no_token(shop: Caller, speak_as: As) -> None:
    made = ok(shop.http.post("/undercroft/tokens", json={"name": "test", "scopes": ["timers"]}))
    friend = speak_as(f"Bearer {made['token']}")
    ok(friend.get(shop.jobs))

    ok(shop.http.delete(f"/undercroft/tokens/{made['id']}"))

    refused(friend.get(shop.jobs), "E030", 401)


@pytest.mark.parametrize(("method", "path"), [("GET", "/job"), ("GET", "/job/shop"), ("PUT", "/route/shop")])
def test_a_path_that_there_is_not(shop: Caller, method: str, path: str) -> None:
    refused(shop.http.request(method, path), "E035")
