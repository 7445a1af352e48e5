"""A server without a socket: requests in, replies out, on an empty database and a clock that a test moves."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from undercroft.app.application import Head
from undercroft.app.assembly import Parts, all_migrations, assemble
from undercroft.app.settings import Settings
from undercroft.database import Database, Transaction, open_database
from undercroft.machinery.identity.actions import set_up_admin
from undercroft.machinery.operations import Reply

ADMIN = "the-token-of-the-admin"
NOW = 1_800_000_000_000
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
FORM = "application/x-www-form-urlencoded"


class House:
    """`now` is what its clock shows, in milliseconds."""

    def __init__(self, database: Database, parts: Parts) -> None:
        self.database = database
        self.parts = parts
        self.now = NOW

    async def ask(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        body: Any = None,
        method: str = "",
        token: str | None = None,
        cookie: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """GET, or POST where there is a form or a body; `cookie` as `sign_in` gives it."""
        given = {"host": "croft.test:3862", **(headers or {})}
        content = b""
        if form is not None:
            given = {"content-type": FORM, **given}
            content = urlencode(form).encode()
        elif body is not None:
            content = json.dumps(body).encode()
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        if cookie is not None:
            given["cookie"] = cookie
        encoded = {name.encode(): value.encode("latin-1") for name, value in given.items()}
        method = method or ("GET" if form is None and body is None else "POST")
        return await self.parts.server.answer(Head(method, url.encode(), encoded, "192.0.2.7"), content)

    async def sign_in(self, token: str = ADMIN) -> str:
        """The cookie that a browser would send from now on."""
        reply = await self.ask("/signin", form={"token": token}, headers=SAME_ORIGIN)
        assert reply.status == 303, reply.body
        return header(reply, "set-cookie").partition(";")[0]

    async def make_token(self, *scopes: str, expires_in: int | None = None) -> str:
        wanted = {"name": "made by a test", "scopes": list(scopes), "expires_in": expires_in}
        reply = await self.ask("/undercroft/tokens", body=wanted, token=ADMIN)
        assert reply.status == 200, reply.body
        made: str = json.loads(reply.body)["token"]
        return made

    async def add_jobs(self, db: str, collection: str, *ids: str, due: int = NOW + 60_000) -> None:
        """Through the API, to the route `hook`, which is made first."""
        route = {"id": "hook", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
        assert (await self.ask(f"/route/{db}", body=route, token=ADMIN)).status == 200
        jobs = [{"id": id, "trigger_time": due, "route": "hook", "meta": {"id": id}} for id in ids]
        reply = await self.ask(f"/job/{db}/{collection}", body=jobs, token=ADMIN)
        assert reply.status == 200, reply.body

    async def let_die(self, name: str, reason: str = "answered 500; 1 attempt used up") -> int:
        """The row's id."""
        return await self.database.write(_let_die, name, reason, self.now)

    async def row(self, id: int) -> tuple[int, int]:
        """(state, due_at)"""
        return await self.database.read(_row, id)


def in_house(folder: Path, test: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    """Runs the test in a house of its own, on the embedded database unless settings name another."""

    async def run() -> None:
        wanted = Settings(data_dir=folder, **settings)
        database = await open_database(wanted.database_url, all_migrations(), lambda: NOW)
        try:
            await database.write(set_up_admin, ADMIN, NOW, kind="preset")
            house: House
            house = House(database, assemble(wanted, database, lambda: house.now, "node-1", "mark"))
            await test(house)
        finally:
            await database.close()

    asyncio.run(run())


def header(reply: Reply, name: str) -> str:
    """The one header of this name, "" where there is none."""
    values = [value.decode() for key, value in reply.headers if key == name.encode()]
    assert len(values) <= 1, f"{name} twice: {values}"
    return values[0] if values else ""


def page(reply: Reply) -> str:
    assert reply.content_type == b"text/html; charset=utf-8"
    return reply.body.decode()


def _let_die(tx: Transaction, name: str, reason: str, now: int) -> int:
    [(id,)] = tx.all(
        "UPDATE deliveries SET state = 5, attempts = 1, due_at = :now, reason = :reason WHERE name = :name"
        " RETURNING id",
        name=name,
        reason=reason,
        now=now,
    )
    return int(id)


def _row(tx: Transaction, id: int) -> tuple[int, int]:
    row = tx.one("SELECT state, due_at FROM deliveries WHERE id = :id", id=id)
    assert row is not None
    return row[0], row[1]
