"""PostgreSQL commits, and its answer never comes: whoever asked is told what was done, and it was done once."""

import json
import re
from typing import Any

import pytest

from tests.families.timers.shop import TOKEN, Shop, opened
from tests.nodes.relay import Relay
from undercroft.app.application import Head
from undercroft.database.postgres import engine

pytestmark = pytest.mark.anyio
ANN, BOB = "ann@shop.example", "bob@shop.example"
FIRST, SECOND, THIRD, LAST = "a good one", "a better one", "the third one", "the last one"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBS1HQi7vPHbvHCtFIhGIMI3YWlOJMMmjFMbyqVWUdk ann@laptop"
OF_THE_HOUSE = {
    "POST /undercroft/tokens",
    "DELETE /undercroft/tokens/{id}",
    "PUT /undercroft/namespaces/{namespace}/{team}",
    "DELETE /undercroft/namespaces/{namespace}/{team}",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Caller:
    """Asks over a line that loses the first answer to each COMMIT."""

    def __init__(self, shop: Shop, relay: Relay) -> None:
        self.shop = shop
        self._relay = relay
        self.asked: set[str] = set()

    async def ask(
        self, operation: str, path: str, body: Any = None, token: str = TOKEN, kind: str = "application/json"
    ) -> Any:
        """The answer to a request that went well, though something of it was lost."""
        self.asked.add(operation)
        method, before = operation.partition(" ")[0], self._relay.swallowed
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {b"authorization": token.encode(), b"content-type": kind.encode()}
        reply = await self.shop.parts.server.answer(Head(method, path.encode(), headers, "192.0.2.1"), data)
        assert reply.status in (200, 201), (operation, reply.status, reply.body)
        assert self._relay.swallowed > before, f"{operation}: no answer was lost"
        return json.loads(reply.body) if reply.body.startswith(b"{") else None

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.shop.database.read(lambda tx: tx.all(sql))

    async def mailed(self) -> str:
        [*_, (content,)] = await self.rows("SELECT content FROM mail_contents ORDER BY mail")
        found = re.search(r"(?m)^ {4}(\S+)$", json.loads(content)["text"])
        assert found is not None
        return found[1]


async def test_nothing_is_done_twice_nor_refused_because_it_is_done(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PAUSE", 0.0)
    async with Relay.to(postgres_url) as relay, opened(relay.url) as shop:
        relay.lose_each_answer()
        caller = Caller(shop, relay)
        for part in (_users_and_passwords, _tokens, _keys_and_quotas, _teams_and_namespaces, _removals):
            await part(caller)
        changing = {
            f"{one.operation.method} {one.operation.path}"
            for one in shop.parts.server.served
            if one.family in ("accounts", "user tokens") and one.operation.method != "GET"
        }
        assert caller.asked == changing | OF_THE_HOUSE
        done = await caller.rows("SELECT action, COUNT(*) FROM events WHERE action NOT LIKE '%token' GROUP BY action")
        assert dict(done) == {  # type: ignore[arg-type]
            "create user": 2, "ask for reset": 1, "set password": 2, "change password": 1, "log out": 1,
            "add key": 1, "remove key": 1, "set quota": 1, "create team": 1, "add member": 1, "remove member": 1,
            "share namespace": 1, "unshare namespace": 1, "remove team": 1, "remove user": 2,
        }  # fmt: skip


async def _users_and_passwords(caller: Caller) -> None:
    for email in (ANN, BOB):
        await caller.ask("POST /users", "/users", {"email": email, "password": FIRST})
    one = f"/users/{ANN}/password"
    await caller.ask("POST /users/{email}/password", one)
    await caller.ask("POST /users/{email}/password", f"{one}?token={await caller.mailed()}", {"password": SECOND})
    assert await caller.rows("SELECT COUNT(*) FROM mail_contents") == [(2,)]
    await caller.ask("PUT /users/{email}/password", one, {"new": THIRD})
    token = await _log_in(caller, ANN, THIRD)
    await caller.ask("PUT /users/password", "/users/password", {"old": THIRD, "new": LAST}, token)
    await caller.ask("DELETE /users/tokens", "/users/tokens", None, token)
    # One try was counted that gave nothing back: to ask for the reset.
    now = caller.shop.clock()
    assert await caller.rows(f"SELECT COUNT(*) FROM tries WHERE free_at > {now}") == [(2,)]
    assert await caller.rows("SELECT COUNT(*) FROM tokens WHERE kind = 'login'") == [(0,)]


async def _log_in(caller: Caller, email: str, password: str) -> str:
    body = {"password": password}
    return str((await caller.ask("POST /users/{email}/tokens", f"/users/{email}/tokens", body))["token"])


async def _tokens(caller: Caller) -> None:
    by_password = {"username": ANN, "password": LAST}
    await caller.ask("POST /api/token-auth", "/api/token-auth/", by_password)
    await caller.ask("POST /api/v1/user/token", "/api/v1/user/token/", {"email": ANN})
    made = await caller.ask("POST /undercroft/tokens", "/undercroft/tokens", {"name": "ci"})
    await caller.ask("DELETE /undercroft/tokens/{id}", f"/undercroft/tokens/{made['id']}")
    await caller.ask("POST /tokens", "/tokens", {"client": "cart"})
    kinds = await caller.rows("SELECT kind, COUNT(*) FROM tokens WHERE kind <> 'preset' GROUP BY kind ORDER BY kind")
    assert kinds == [("app", 1), ("login", 1), ("made", 1)]


async def _keys_and_quotas(caller: Caller) -> None:
    await caller.ask("POST /users/keys", "/users/keys", {"key": KEY})
    await caller.ask("DELETE /users/keys", "/users/keys", {"key": KEY})
    form = "application/x-www-form-urlencoded"
    await caller.ask("PUT /quota/{user}", f"/quota/{ANN}", b"quota=5", kind=form)


async def _teams_and_namespaces(caller: Caller) -> None:
    await caller.ask("POST /teams", "/teams", {"name": "shop"})
    await caller.ask("PUT /teams/{team}/{email}", f"/teams/shop/{ANN}")
    await caller.ask("DELETE /teams/{team}/{email}", f"/teams/shop/{ANN}")
    one = "/undercroft/namespaces/{namespace}/{team}"
    await caller.ask(f"PUT {one}", "/undercroft/namespaces/@admin/shop")
    await caller.ask(f"DELETE {one}", "/undercroft/namespaces/@admin/shop")
    await caller.ask("DELETE /teams/{team}", "/teams/shop")


async def _removals(caller: Caller) -> None:
    bob = await _log_in(caller, BOB, FIRST)
    await caller.ask("DELETE /users", "/users", None, bob)
    await caller.ask("DELETE /users/{email}", f"/users/{ANN}")
