"""A courier on a real database, whose transport writes down what it is told to send and answers as a test wants."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.database.engines import all_migrations
from tests.machinery.deliveries.making import FAMILY, NOW, Clock, answered, make_queue, make_target, put_in, row
from undercroft.database import Database, open_database
from undercroft.machinery.deliveries import claims
from undercroft.machinery.deliveries.courier import Courier
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.model import Delivery, Outcome, State, Target
from undercroft.machinery.deliveries.upkeep import BEAT, Upkeep

Answer = Callable[[Delivery], Outcome]


class Recorder:
    """`sent` is (job, webhook-id, attempts before); `most` the largest number under way at once, by target."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: list[tuple[str, str, int]] = []
        self.at: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.status: dict[str, int | None] = defaultdict(lambda: 200)
        self.hanging: set[str] = set()
        self.go_on = asyncio.Event()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.fault: Exception | None = None

    def host(self, _target: Target) -> str | None:
        return None

    async def send(
        self, target: Target, delivery: Delivery, webhook_id: str, family_headers: dict[str, str]
    ) -> Outcome:
        self.sent.append((delivery.name, webhook_id, delivery.attempts))
        self.at.append(self._clock())
        self.headers.append(family_headers)
        self.under_way[target.name] += 1
        self.most[target.name] = max(self.most[target.name], self.under_way[target.name])
        try:
            if target.name in self.hanging:
                await self.go_on.wait()
            await asyncio.sleep(0)
            if self.fault is not None:
                raise self.fault
        finally:
            self.under_way[target.name] -= 1
        status = self.status[target.name]
        return answered(status, now=self._clock(), took_ms=2, reply="so")

    @property
    def jobs(self) -> list[str]:
        return [name for name, _, _ in self.sent]


class Rig:
    def __init__(self, database: Database, clock: Clock, node: str, hooks: Hooks | None) -> None:
        self.database = database
        self.clock = clock
        self.transport = Recorder(clock)
        families = {FAMILY: hooks or Hooks()}
        self.courier = Courier(database, {"webhook": self.transport}, families, clock, node, "mark")
        self.upkeep = Upkeep(self.courier, database, keep_delivered=1_000, keep_dead=5_000)

    async def fire(self) -> None:
        """All that is due and has room, until it is sent and settled, or hangs."""
        sent = -1
        while sent < len(self.transport.sent):
            sent = len(self.transport.sent)
            while await self.upkeep.look_ahead(self.clock()):
                pass
            while await self.courier.fire_due():
                pass
            await self.let_go_on()

    async def let_go_on(self) -> None:
        """Until nothing moves by itself any more."""
        quiet = 0
        while quiet < 5:
            before = (len(self.transport.sent), len(self.courier.settling.tried), len(self.courier.in_hands))
            await asyncio.sleep(0.002)
            after = (len(self.transport.sent), len(self.courier.settling.tried), len(self.courier.in_hands))
            quiet = quiet + 1 if before == after and not self.courier.settling.tried else 0

    async def make(self, count: int = 1, target: str = "hook", queue: str = "orders", **more: Any) -> list[int]:
        limits = {key: more.pop(key) for key in ("concurrency", "rate", "retries", "paused_at") if key in more}

        def make_all(tx: Any) -> list[int]:
            to = make_target(tx, target, **limits)
            return put_in(tx, count, queue=make_queue(tx, queue), target=to.id, **more)

        return await self.database.write(make_all)

    async def row(self, id: int) -> Delivery:
        return await self.database.read(row, id)

    async def states(self) -> Counter[State]:
        rows = await self.database.read(lambda tx: tx.all("SELECT state FROM deliveries"))
        return Counter(State(state) for (state,) in rows)


@asynccontextmanager
async def running(
    url: str, clock: Clock, *, node: str = "one", hooks: Hooks | None = None, database: Database | None = None
) -> AsyncIterator[Rig]:
    """A rig whose outcomes are settled as they come. Its own database, unless it is given one."""
    own = database is None
    opened = database or await open_database(url, all_migrations(), clock, pool=4)
    rig = Rig(opened, clock, node, hooks)
    settling = asyncio.ensure_future(rig.courier.settle_all())
    try:
        yield rig
    finally:
        settling.cancel()
        for task in list(rig.courier.parcels.tasks):
            task.cancel()
        await asyncio.sleep(0)
        if own:
            await opened.close()


async def beat_all(rigs: list[Rig], rounds: int = 1) -> None:
    for _ in range(rounds):
        for rig in rigs:
            rig.clock.now += BEAT
            await rig.upkeep.heartbeat(rig.clock())


async def make_unheard(rig: Rig, count: int, **more: Any) -> list[int]:
    """Rows that this process hears nothing of, as those of another node."""

    def make(tx: Any) -> list[int]:
        tx.tell = lambda _topic, _items: None
        target = make_target(tx)
        return put_in(tx, count, queue=make_queue(tx), target=target.id, **more)

    return await rig.database.write(make)


async def claim_as(rig: Rig, node: str, ids: list[int], lease_until: int) -> Any:
    return await rig.database.write(claims.claim, ids, node, NOW, lease_until)
