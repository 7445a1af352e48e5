"""Mail as a caller meets it, in the test's own process: a whole house with its courier, and a real relay behind it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from undercroft.app.application import Head
from undercroft.app.assembly import Parts, all_migrations, assemble
from undercroft.app.notation import Secret, SmtpUrl
from undercroft.app.settings import Settings
from undercroft.base.clock import wall_clock
from undercroft.database import Database, open_database
from undercroft.machinery.identity.actions import PRESET, set_up_admin
from undercroft.machinery.operations import Reply

TOKEN = "a-token-of-these-tests"
EMAIL = {"to": "recipient@email.com", "subject": "What time is it, where you are?", "body": "I miss you."}
SENT = b'{"message":"Email  successfully sent."}'
QUEUED = b'{"message":"Email queued."}'
CAPTURED = b'{"message":"Email captured."}'
CANCELLED = b'{"message":"Email cancelled."}'


class Clock:
    """The wall's, and so far ahead of it."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return wall_clock() + self.ahead


class Answer:
    def __init__(self, reply: Reply) -> None:
        self.status, self.body = reply.status, reply.body
        self.headers = dict(reply.headers)
        self.json: Any = json.loads(reply.body) if reply.content_type == b"application/json" else None
        assert self.headers[b"x-gcore-version"] == b"0.99"

    @property
    def id(self) -> str:
        return self.headers[b"x-email-id"].decode()


class House:
    def __init__(self, parts: Parts, database: Database, clock: Clock) -> None:
        self.parts, self.database, self.clock = parts, database, clock

    async def call(self, method: str, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {b"authorization": f"Bearer {token}".encode(), b"host": b"localhost:3862"}
        given |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return Answer(await self.parts.server.answer(Head(method, path.encode(), given, "127.0.0.1"), data))

    async def call_house(self, method: str, path: str, body: Any = None) -> Any:
        """As the admin, of what is no family's."""
        head = Head(method, path.encode(), {b"authorization": f"Bearer {TOKEN}".encode()}, "127.0.0.1")
        return json.loads((await self.parts.server.answer(head, json.dumps(body).encode())).body)

    async def send(self, **fields: Any) -> Answer:
        return await self.call("POST", "/systems/emails", {**EMAIL, **fields})

    async def email(self, id: str) -> dict[str, Any]:
        answer = await self.call("GET", f"/systems/emails/{id}")
        assert answer.status == 200, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.call("GET", f"/systems/emails?{query}")
        assert answer.status == 200, answer.json
        found: list[dict[str, Any]] = answer.json["emails"]
        return found

    async def until_state(self, id: str, state: str, seconds: float = 15) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while (found := await self.email(id))["state"] != state:  # noqa: ASYNC110 - a courier moves it
                await asyncio.sleep(0.02)
        return found

    async def go_on(self, ahead: int) -> None:
        """It is so much later (ms)."""
        self.clock.ahead += ahead
        while await self.parts.upkeep.look_ahead(self.clock()):
            pass


@asynccontextmanager
async def house(url: str, smtp_url: str = "", **settings: Any) -> AsyncIterator[House]:
    """`smtp_url`: the relay's; without it mail is captured."""
    given = {"mail_from": "House <house@home.example>", "mail_retries": (0.05,) * 60, "mail_wait": 10.0, **settings}
    if isinstance(given.get("dkim_key"), str):
        given["dkim_key"] = Secret(given["dkim_key"])
    clock = Clock()
    database = await open_database(url, all_migrations(), clock, pool=4)
    await database.write(set_up_admin, TOKEN, clock(), kind=PRESET)
    parts = assemble(Settings(smtp_url=SmtpUrl(smtp_url), **given), database, clock, "one", "mark")
    tasks = [asyncio.ensure_future(parts.courier.run()), asyncio.ensure_future(parts.courier.settle_all())]
    try:
        yield House(parts, database, clock)
    finally:
        await parts.courier.stop(1)
        await asyncio.wait(tasks, timeout=5)
        await parts.relay.close()
        await database.close()
