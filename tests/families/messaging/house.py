"""Messaging as a caller meets it, in the test's own process: requests go to the house's server, its clock is the
test's, and what would be posted is written down instead."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.machinery.deliveries.making import NOW, Clock, answered
from undercroft.app.application import Head
from undercroft.app.assembly import Parts, all_migrations, assemble
from undercroft.app.settings import Settings
from undercroft.base.clock import DAY, HOUR
from undercroft.database import Database, open_database
from undercroft.families.messaging.channels import webhook
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target
from undercroft.machinery.identity.actions import PRESET, set_up_admin

TOKEN = "a-token-of-these-tests"
API = "/api/v1/"
EIGHT = NOW // DAY * DAY + DAY + 8 * HOUR
_STEPS = (
    "message runs",
    "who is behind",
    "remove files",
    "look ahead",
    "file precisely",
    "release held",
    "sweep overdue",
)


class Answer:
    def __init__(self, status: int, body: bytes, kind: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.body = body
        self.kind = kind
        self.headers = dict(headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __iter__(self) -> Any:
        """status, decoded body"""
        return iter((self.status, self.json))


class Receiver:
    """`sent`: the bodies that arrived, with the id that receivers dedupe by; `status` is answered, by address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: list[tuple[dict[str, Any], str]] = []
        self.status: dict[str, int | None] = defaultdict(lambda: 200)
        self.meanwhile: Callable[[], Awaitable[Any]] = lambda: asyncio.sleep(0)
        """What happens while a call is under way."""

    def host(self, _target: Target) -> str | None:
        return None

    async def send(self, target: Target, delivery: Delivery, webhook_id: str, headers: dict[str, str]) -> Outcome:
        body = json.loads(delivery.body)
        self.sent.append((body, webhook_id))
        await self.meanwhile()
        return answered(self.status[body["to_addr"]], now=self._clock(), reply='{"id": "out-1"}')

    @property
    def said(self) -> list[tuple[str, str]]:
        """(address, content) of each."""
        return [(body["to_addr"], body.get("content", "")) for body, _ in self.sent]


class House:
    """`really`: what is sent goes out as it would."""

    def __init__(self, parts: Parts, database: Database, clock: Clock, *, really: bool = False) -> None:
        self.parts = parts
        self.database = database
        self.clock = clock
        self.receiver = Receiver(clock)
        if really:
            return
        parts.courier._transports = {**parts.courier._transports, webhook.TRANSPORT: self.receiver}

    async def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """The answer to the admin's request at /api/v1/PATH, or at another path that begins with a slash."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given: dict[str, str | None] = {"authorization": f"Token {TOKEN}", "host": "house.example:3862",
                                        "content_type": "application/json", **headers}  # fmt: skip
        sent = {name.replace("_", "-").encode(): value.encode() for name, value in given.items() if value is not None}
        url = path if path.startswith("/") else API + path
        reply = await self.parts.server.answer(Head(method, url.encode(), sent, "127.0.0.1"), data)
        content = reply.body
        if reply.stream is not None:
            content = b"".join([piece async for piece in reply.stream])
        return Answer(reply.status, content, reply.content_type, list(reply.headers))

    async def get(self, path: str) -> Any:
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def made(self, path: str, **fields: Any) -> Any:
        answer = await self.call("POST", path, fields)
        assert answer.status == 201, answer.body
        return answer.json

    async def make_series(self) -> None:
        await self.made("routes/", name="hook", url="http://127.0.0.1:9/")
        await self.made("schedule/", minute="0", hour="8")
        await self.made("messageset/", short_name="welcome", default_schedule=1, channel="webhook:hook")
        for number, text in enumerate(("one", "two"), 1):
            await self.made("message/", messageset=1, sequence_number=number, lang="eng", text_content=text)

    async def subscribe(self, identity: str = "+27820001001", **fields: Any) -> str:
        given = {"identity": identity, "messageset": 1, "schedule": 1, "lang": "eng", **fields}
        id: str = (await self.made("subscriptions/", **given))["id"]
        return id

    async def subscription(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"subscriptions/{id}/")
        return found

    async def at(self, moment: int) -> None:
        """Everything that a node does until and at this moment."""
        self.clock.now = moment
        await self.go_on()

    async def go_on(self) -> None:
        """Until nothing moves by itself any more."""
        quiet = 0
        while quiet < 3:
            before = self._state()
            for loop in self.parts.loops:
                if loop.name in _STEPS:
                    while await loop.step(self.clock()):
                        pass
            while await self.parts.courier.fire_due():
                pass
            await asyncio.sleep(0.001)
            quiet = quiet + 1 if before == self._state() and not self.parts.courier.in_hands else 0

    def _state(self) -> tuple[int, int, int]:
        courier = self.parts.courier
        return len(self.receiver.sent), len(courier.settling.tried), len(courier.in_hands)


@asynccontextmanager
async def opened(url: str, *, now: int = NOW, really: bool = False, **settings: Any) -> AsyncIterator[House]:
    clock = Clock(now)
    database = await open_database(url, all_migrations(), clock, pool=4)
    await database.write(set_up_admin, TOKEN, clock(), kind=PRESET)
    with TemporaryDirectory() as folder:
        given = {"data_dir": Path(folder), "allow_private_targets": True, **settings}
        house = House(assemble(Settings(**given), database, clock, "one", "mark"), database, clock, really=really)
        settling = asyncio.ensure_future(house.parts.courier.settle_all())
        try:
            yield house
        finally:
            settling.cancel()
            for task in list(house.parts.courier.parcels.tasks):
                task.cancel()
            await asyncio.sleep(0)
            await database.close()


__all__ = ["NOW", "House", "opened"]


async def link_of(house: House, id: str) -> str:
    url: str = (await house.get(f"subscriptions/{id}/optout"))["url"]
    return url.partition("3862")[2]


async def opt_out(house: House, link: str) -> None:
    assert (await house.call("POST", link, authorization=None)).status == 200


async def resend(house: House, id: str) -> None:
    assert tuple(await house.call("POST", f"subscriptions/{id}/resend")) == (202, {"accepted": True})
    await house.go_on()
