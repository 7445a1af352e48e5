"""A forgotten password from the first request to the last, with the mails as they stand in the queue."""

import json
import re
from typing import Any

import pytest

from tests.families.timers.shop import TOKEN, Shop, opened
from undercroft.app.application import Head
from undercroft.base.clock import HOUR

pytestmark = pytest.mark.anyio
ANN = "/users/ann@shop.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(shop: Shop, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, bytes]:
    data = b"" if body is None else json.dumps(body).encode()
    headers = {b"authorization": token.encode()} if token else {}
    reply = await shop.parts.server.answer(Head(method, path.encode(), headers, "192.0.2.1"), data)
    return reply.status, reply.body


async def mailed(shop: Shop) -> str:
    """The word on a line of its own in the newest mail."""
    rows = await shop.database.read(lambda tx: tx.all("SELECT * FROM mail_contents"))
    found = [re.search(r"(?m)^ {4}(\S+)$", json.loads(_json_in(row)).get("text", "")) for row in sorted(rows)]
    assert found[-1] is not None
    return found[-1][1]


def _json_in(row: tuple[Any, ...]) -> str:
    return next(str(value) for value in row if isinstance(value, str) and value.startswith("{"))


@pytest.mark.parametrize("own", [True, False])
async def test_a_forgotten_password(database_url: str, own: bool) -> None:
    async with opened(database_url) as shop:
        user = {"email": "ann@shop.example", "password": "forgotten"}
        assert (await ask(shop, "POST", "/users", user, TOKEN))[0] == 200
        _, body = await ask(shop, "POST", f"{ANN}/tokens", {"password": "forgotten"})
        old = json.loads(body)["token"]
        assert await ask(shop, "POST", f"{ANN}/password") == (200, b"")
        token = await mailed(shop)

        given = {"password": "my own one"} if own else None
        assert await ask(shop, "POST", f"{ANN}/password?token={token}", given) == (200, b"")

        assert (await ask(shop, "POST", f"{ANN}/password?token={token}", given))[1] == b"Invalid token\n"
        assert (await ask(shop, "GET", "/teams", token=old))[0] == 401, "who was signed in is no more"
        password = "my own one" if own else await mailed(shop)
        assert (await ask(shop, "POST", f"{ANN}/tokens", {"password": password}))[0] == 200
        shop.clock.now += HOUR
        assert (await ask(shop, "POST", f"{ANN}/tokens", {"password": password}))[0] == (200 if own else 401)
