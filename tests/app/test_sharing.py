"""Namespaces and events over HTTP; and that a team sees its own part of the front page, and no other's."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.dashboard.asking import ADMIN, House, in_house, page
from undercroft.database import Transaction
from undercroft.machinery.identity import store
from undercroft.machinery.identity.memberships import put_member, put_team
from undercroft.machinery.identity.model import Token, digest

ROUTE = {"id": "hook", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}


async def join(house: House, team: str, email: str) -> str:
    """The token of a new member of the team."""

    def make(tx: Transaction) -> str:
        store.put_user(tx, email, house.now)
        put_team(tx, team, house.now)
        put_member(tx, team, email, 0)
        token, secret = Token(f"of-{email}", email, "t", None, house.now, None, None), f"secret-of-{email}"
        store.put_token(tx, token, digest(secret), "made")
        return secret

    return await house.database.write(make)


async def answer(house: House, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    reply = await house.ask(path, method=method, token=token, body=body)
    return reply.status, json.loads(reply.body)


def test_another_teams_namespace_is_closed_until_it_is_shared(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann, bob = await join(house, "web", "ann@web.example"), await join(house, "shop", "bob@shop.example")
        assert (await answer(house, "POST", "/route/carts", ann, ROUTE))[0] == 200
        refused = (403, {"error": "'carts' belongs to another team", "code": "E099"})
        assert (await answer(house, "GET", "/route/carts", bob))[0] == refused[0]
        assert (await answer(house, "POST", "/route/carts", bob, ROUTE))[1]["error"] == refused[1]["error"]
        assert (await answer(house, "PUT", "/undercroft/namespaces/carts/shop", bob))[0] == 403

        assert await answer(house, "PUT", "/undercroft/namespaces/carts/shop", ann) == (200, {"status": "ok"})

        assert (await answer(house, "GET", "/route/carts", bob))[0] == 200
        assert await answer(house, "GET", "/undercroft/namespaces", bob) == (
            200,
            {"namespaces": [{"namespace": "carts", "teams": ["shop", "web"]}], "cursor": None},
        )
        assert (await answer(house, "DELETE", "/undercroft/namespaces/carts/shop", bob))[0] == 200
        assert (await answer(house, "GET", "/route/carts", bob))[0] == 403
        assert (await answer(house, "DELETE", "/undercroft/namespaces/carts/web", ann))[0] == 400
        assert (await answer(house, "PUT", "/undercroft/namespaces/carts/nobody", ann))[0] == 404

    in_house(tmp_path, test)


def test_who_shared_what_is_told_to_admins(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann = await join(house, "web", "ann@web.example")
        await join(house, "shop", "bob@shop.example")
        await answer(house, "POST", "/route/carts", ann, ROUTE)
        await answer(house, "PUT", "/undercroft/namespaces/carts/shop", ann)
        await answer(house, "DELETE", "/undercroft/namespaces/carts/shop", ADMIN)

        status, first = await answer(house, "GET", "/undercroft/events?limit=1", ADMIN)
        rest = (await answer(house, "GET", f"/undercroft/events?limit=1&cursor={first['cursor']}", ADMIN))[1]

        assert status == 200
        [newest], [oldest] = first["events"], rest["events"]
        assert (newest["actor"], newest["action"], newest["subject"]) == (
            "admin@localhost",
            "unshare namespace",
            "shop",
        )
        assert (oldest["actor"], oldest["namespace"], oldest["subject"]) == ("ann@web.example", "carts", "shop")
        assert rest["cursor"] is None
        assert (await answer(house, "GET", "/undercroft/events", ann))[0] == 403

    in_house(tmp_path, test)


def test_a_token_with_scopes_shares_nothing(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await join(house, "web", "ann@web.example")
        await house.add_jobs("shop", "carts", "a")
        scoped = await house.make_token("timers:shop")

        assert (await answer(house, "PUT", "/undercroft/namespaces/shop/web", scoped))[0] == 403

    in_house(tmp_path, test)


def test_a_token_with_scopes_sees_the_namespaces_that_they_cover(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann, bob = await join(house, "web", "ann@web.example"), await join(house, "shop", "bob@shop.example")
        for db, token in (("carts", ann), ("mails", ann), ("stock", bob), ("books", ADMIN)):
            assert (await answer(house, "POST", f"/route/{db}", token, ROUTE))[0] == 200
        app = json.loads((await house.ask("/tokens", body={"client": "carts"}, token=ADMIN)).body)["Token"]

        async def seen(token: str, query: str = "") -> list[str]:
            found = (await answer(house, "GET", f"/undercroft/namespaces{query}", token))[1]
            names = [one["namespace"] for one in found["namespaces"]]
            return names if found["cursor"] is None else [*names, "…"]

        async def of_ann(*scopes: str) -> str:
            body = {"name": "x", "scopes": scopes}
            return str((await answer(house, "POST", "/undercroft/tokens", ann, body))[1]["token"])

        everything = ["books", "carts", "mails", "stock"]
        assert await seen(ADMIN) == everything
        assert await seen(await house.make_token("timers")) == everything
        assert await seen(await house.make_token("timers:none", "locks")) == everything
        assert await seen(await house.make_token("timers:stock", "locks:carts", "mail:none")) == ["carts", "stock"]
        narrow = await house.make_token("timers:a", "timers:stock", "locks:carts")
        assert await seen(narrow, "?limit=1") == ["carts", "…"]
        assert await seen(narrow, "?limit=1&cursor=carts") == ["stock"]
        for nothing in (app, await house.make_token("accounts", "undercroft"), await of_ann("timers:stock")):
            assert await seen(nothing) == []
        assert await seen(await of_ann("timers")) == ["carts", "mails"]
        assert await seen(await of_ann("timers:carts")) == ["carts"]

    in_house(tmp_path, test)


def test_a_member_sees_the_part_of_its_teams(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann, bob = await join(house, "web", "ann@web.example"), await join(house, "shop", "bob@shop.example")
        job = {"id": "of-web", "trigger_time": house.now + 60_000, "route": "hook"}
        assert (await answer(house, "POST", "/route/carts", ann, ROUTE))[0] == 200
        assert (await answer(house, "POST", "/job/carts/all", ann, job))[0] == 200

        shown = {}
        for name, token in {"ann": ann, "bob": bob, "admin": ADMIN}.items():
            cookie = await house.sign_in(token)
            shown[name] = "of-web" in page(await house.ask("/", cookie=cookie))

        assert shown == {"ann": True, "bob": False, "admin": True}

    in_house(tmp_path, test)


def test_metrics_are_for_admins_and_for_the_scope_undercroft(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        of_timers, of_house = await house.make_token("timers:shop"), await house.make_token("undercroft")
        ann = await join(house, "web", "ann@web.example")

        statuses = [(await house.ask("/metrics", token=token)).status for token in (ADMIN, of_house, of_timers, ann)]

        assert statuses == [200, 200, 403, 403]

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/job/NEW/all", {"id": "no time"}, 400),
        ("POST", "/route/NEW", {"id": "hook"}, 400),
        ("DELETE", "/job/NEW/all/none", None, 400),
        ("DELETE", "/systems/locks/a?namespace=NEW", None, 200),
        ("POST", "/systems/locks", {"name": "", "namespace": "NEW"}, 400),
        ("POST", "/systems/emails", [{"namespace": "NEW"}, {"namespace": "NEW"}], 400),
        ("POST", "/job/" + "x" * 200 + "/all", {"id": "a", "trigger_time": 1, "route": "hook"}, 400),
        ("POST", "/job/" + "x" * 600 + "/all", {"id": "a", "trigger_time": 1, "route": "hook"}, 400),
    ],
)
def test_a_refused_write_takes_no_namespace(tmp_path: Path, method: str, path: str, body: Any, status: int) -> None:
    async def test(house: House) -> None:
        ann = await join(house, "web", "ann@web.example")

        got = await answer(house, method, path, ann, body)

        assert got[0] == status, got
        assert (await answer(house, "GET", "/undercroft/namespaces", ADMIN))[1]["namespaces"] == []

    in_house(tmp_path, test)
