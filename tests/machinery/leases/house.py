"""One node's leases on a database, with clocks that stand still until they are moved."""

import asyncio
import itertools
from typing import Any

from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.machinery.leases.actions import Desk
from undercroft.machinery.leases.lease_clock import LeaseClock
from undercroft.machinery.leases.model import Acquire, Answer, Order, Place, Release, Renew, Span
from undercroft.machinery.leases.waiting import Leases

START = 1_700_000_000_000
_numbers = itertools.count(1)


class Clocks:
    """The clock that people may set, and the one that they can't."""

    def __init__(self) -> None:
        self.wall = START
        self.boot = 5_000

    def pass_time(self, ms: int) -> None:
        self.wall += ms
        self.boot += ms

    def set_wall(self, by: int) -> None:
        self.wall += by


def place(name: str = "one", namespace: str = "shop") -> Place:
    return Place("locks", namespace, name)


def acquire(name: str = "one", ttl: int | None = 1_000, **more: Any) -> Acquire:
    number = next(_numbers)
    given = {"span": Span(ttl), "token": f"token-{number}", "waiter": f"waiter-{number}", **more}
    return Acquire(place(name), **given)


class House:
    def __init__(self, database: Database, node: str, clocks: Clocks | None = None) -> None:
        self.database = database
        self.clocks = clocks or Clocks()
        self.desk = Desk(LeaseClock(lambda _tx: self.clocks.wall, lambda: self.clocks.boot), f"{node}/{next(_numbers)}")
        self.leases = Leases(database, self.desk)
        self._standing: list[Standing] = []

    async def ask(self, *orders: Order) -> list[Answer | Refusal]:
        """In one batch, as if they had come at the same moment."""
        return await self.database.write(self.desk.decide, list(orders))

    async def one(self, order: Order) -> Answer:
        [answer] = await self.ask(order)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def take(self, name: str = "one", ttl: int | None = 1_000, **more: Any) -> Answer:
        return await self.one(acquire(name, ttl, **more))

    async def release(self, token: str | None = None, name: str = "one") -> bool:
        return (await self.one(Release(place(name), token))).yes

    async def renew(self, token: str, ttl: int | None = 1_000, name: str = "one") -> Answer:
        return await self.one(Renew(place(name), token, Span(ttl)))

    def stand(self, name: str = "one", ttl: int | None = 1_000, wait: int = 20_000, **more: Any) -> "Standing":
        order = acquire(name, ttl, wait=wait, **more)
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        standing = Standing(order, gone, asyncio.ensure_future(self.leases.acquire(order, gone)))
        self._standing.append(standing)
        return standing

    async def close(self) -> None:
        self.leases.close()
        await asyncio.gather(*(one.answer for one in self._standing), return_exceptions=True)
        await self.database.close()

    async def in_line(self, name: str = "one") -> int:
        return (await self.leases.look(place(name))).in_line

    async def count(self, table: str) -> int:
        row = await self.database.read(lambda tx: tx.one(f"SELECT COUNT(*) FROM {table}"))
        assert row is not None
        return int(row[0])

    async def wait_for_line(self, length: int, name: str = "one") -> None:
        for _ in range(1_000):
            if await self.in_line(name) == length:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{length} never stood in line")


class Standing:
    """A request that stands in line; `hang_up` is what its client may do."""

    def __init__(self, order: Acquire, gone: "asyncio.Future[None]", answer: "asyncio.Task[Answer]") -> None:
        self.order = order
        self._gone = gone
        self.answer = answer

    def hang_up(self) -> None:
        self._gone.set_result(None)

    async def told(self, seconds: float = 10) -> Answer:
        return await asyncio.wait_for(asyncio.shield(self.answer), seconds)

    @property
    def waits(self) -> bool:
        return not self.answer.done()
