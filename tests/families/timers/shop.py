"""Timers as a caller meets them, in the test's own process: requests go to the house's server, its clock is the
test's, and what would go out is written down instead."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from tests.machinery.deliveries.making import NOW, Clock
from tests.machinery.deliveries.rig import Recorder, Rig
from undercroft.app.application import Head
from undercroft.app.assembly import all_migrations, assemble
from undercroft.app.settings import Settings
from undercroft.base.clock import HOUR
from undercroft.database import open_database
from undercroft.machinery.identity.actions import PRESET, set_up_admin

TOKEN = "a-token-of-these-tests"
OK = {"status": "ok"}
FAR = NOW + 1_000 * HOUR


class Answer:
    def __init__(self, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.json: Any = json.loads(body)

    @property
    def code(self) -> str | None:
        """The code of a refusal, None where all went well."""
        if self.status == 200:
            return None
        assert set(self.json) == {"error", "code"} and self.json["error"]
        code: str = self.json["code"]
        return code


class Shop(Rig):
    """`call` says what a caller says; `fire` has the courier do what is due by the clock."""

    @classmethod
    def of(cls, parts: Any, database: Any, clock: Clock) -> "Shop":
        shop = cls.__new__(cls)
        shop.parts = parts
        shop.database = database
        shop.clock = clock
        shop.transport = Recorder(clock)
        shop.courier = parts.courier
        shop.courier._transports = {"webhook": shop.transport}
        shop.upkeep = parts.upkeep
        return shop

    parts: Any

    async def call(
        self, method: str, path: str, body: Any = None, *, client: str | None = "127.0.0.1", **headers: str | None
    ) -> Answer:
        """The answer to the admin's request, or to one with these headers (`x_name`, None to leave one out)."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given: dict[str, str | None] = {"authorization": f"Bearer {TOKEN}", "host": "localhost:3862", **headers}
        sent = {name.replace("_", "-").encode(): value.encode() for name, value in given.items() if value is not None}
        reply = await self.parts.server.answer(Head(method, path.encode(), sent, client), data)
        return Answer(reply.status, reply.body, dict(reply.headers))

    async def post(self, id: str, trigger_time: int | None = FAR, *, query: str = "", **fields: Any) -> Answer:
        job = {"id": id, "trigger_time": trigger_time, "meta": {"of": id}, "route": "hook", **fields}
        return await self.call("POST", f"/job/shop/orders{query}", {k: v for k, v in job.items() if v is not None})

    async def put(self, job: str, query: str = "", **fields: Any) -> Answer:
        return await self.call("PUT", self.path(job) + query, fields)

    async def delete(self, id: str) -> Answer:
        return await self.call("DELETE", self.path(id))

    async def detail(self, id: str) -> dict[str, Any]:
        answer = await self.call("GET", self.path(id) + "?detail=1")
        assert answer.status == 200, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def route(self, id: str = "hook", **fields: Any) -> None:
        route = {"id": id, "type": "REST", "webhook_url": "127.0.0.1:9/", **fields}
        assert (await self.call("POST", "/route/shop", route)).json["status"] == "ok"

    async def listed(self, query: str = "limit=1000", collection: str = "orders") -> list[dict[str, Any]]:
        """All pages of a list."""
        jobs: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = (await self.call("GET", f"/job/shop/{collection}?{query}{more}")).json
            jobs += page["jobs"]
            cursor = page["cursor"]
        return jobs

    async def at(self, moment: int) -> None:
        """Everything that a node does until and at this moment."""
        self.clock.now = moment
        for step in (self.upkeep.file_precisely, self.upkeep.release_held, self.upkeep.sweep_overdue):
            while await step(moment):
                pass
        await self.fire()

    @staticmethod
    def path(id: str) -> str:
        return "/job/shop/orders/" + quote(id, safe="").replace(".", "%2E")


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Shop]:
    clock = Clock()
    database = await open_database(url, all_migrations(), clock, pool=4)
    await database.write(set_up_admin, TOKEN, clock(), kind=PRESET)
    parts = assemble(Settings(**settings), database, clock, "one", "mark")
    shop = Shop.of(parts, database, clock)
    settling = asyncio.ensure_future(parts.courier.settle_all())
    try:
        yield shop
    finally:
        settling.cancel()
        for task in list(parts.courier.parcels.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await database.close()
