"""The parts of a node inside the test's own process, with a clock that can be set and steps that can be called."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from undercroft.app.application import Head
from undercroft.app.assembly import Parts, all_migrations, assemble
from undercroft.app.settings import Settings
from undercroft.base.clock import wall_clock
from undercroft.database import Database, open_database
from undercroft.machinery.identity.actions import set_up_admin

TOKEN = "a-token-of-these-tests"
# Between two rounds of all upkeep steps (s): they take hints that the clock itself can't give.
ROUND = 0.02


class SteppedClock:
    """The machine's time, off by as many ms as somebody has set it forward or back."""

    def __init__(self) -> None:
        self.off = 0

    def __call__(self) -> int:
        return wall_clock() + self.off

    def step(self, milliseconds: int) -> None:
        self.off += milliseconds


class Node:
    """A running node without sockets: requests go straight to its server."""

    def __init__(self, parts: Parts, database: Database, clock: SteppedClock) -> None:
        self.parts = parts
        self.database = database
        self.clock = clock

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The decoded reply to a request that must go well."""
        data = b"" if body is None else json.dumps(body).encode()
        head = Head(method, path.encode(), {b"authorization": TOKEN.encode()}, None)
        reply = await self.parts.server.answer(head, data)
        assert reply.status == 200, (method, path, reply.body)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    async def wait_for(self, path: str, seconds: float = 20, **expected: Any) -> dict[str, Any]:
        """The reply to GET path, as soon as it has these values."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.call("GET", path)
                if expected.items() <= found.items():
                    return found
                await asyncio.sleep(ROUND)

    async def keep_up(self) -> None:
        """Every upkeep step, round after round, whatever the clock says."""
        while True:
            for loop in self.parts.loops:
                await loop.step(self.clock())
            await asyncio.sleep(ROUND)


@asynccontextmanager
async def running(url: str, clock: SteppedClock, folder: Path, *, name: str = "one") -> AsyncIterator[Node]:
    database = await open_database(url, all_migrations(), clock)
    await database.write(set_up_admin, TOKEN, clock(), kind="preset")
    settings = Settings(data_dir=folder, allow_private_targets=True)
    parts = assemble(settings, database, clock, name, "mark")
    await parts.upkeep.reclaim_own(clock())
    node = Node(parts, database, clock)
    keeping = asyncio.create_task(node.keep_up())
    working = [asyncio.create_task(parts.courier.run()), asyncio.create_task(parts.courier.settle_all())]
    try:
        yield node
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await parts.entries.close()
        await parts.courier.stop(0.1)
        await asyncio.wait(working, timeout=5)
        parts.transport.close()
        await database.close()
        if not keeping.cancelled():
            keeping.result()
