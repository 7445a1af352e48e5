"""What came of calls, until it is written down: whatever ends at about the same time, in one write."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.machinery.deliveries import actions, metrics
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.model import Outcome
from undercroft.machinery.deliveries.parcels import Parcel

log = structlog.get_logger()

# Settled in one write at the most; and outcomes that may wait for the database before claiming stops.
MOST_PER_SETTLE = 1_000
MOST_UNSETTLED = 5_000
# Of one lane: then its calls rest, so that a node that is killed repeats no more than these and those under way.
# Measured on PostgreSQL: with 64 the last of 5,000 comes 7 % later, with 128 it comes as early as without a limit.
MOST_UNSETTLED_OF_LANE = 128
# What ends within this time (s) is written down together, while more is under way: nobody waits for it, and a write
# costs as much for one as for fifty.
SETTLED_TOGETHER = 0.003
# Between two tries (s).
PAUSE = 0.5


class Settling:
    def __init__(
        self,
        database: Database,
        hooks: Mapping[str, Hooks],
        clock: Clock,
        node: str,
        let_go: Callable[[list[Parcel]], None],
    ) -> None:
        """`let_go` is told of what is off our hands: written down, or left to the end of its lease."""
        self._database = database
        self._hooks = hooks
        self._clock = clock
        self._node = node
        self._let_go = let_go
        self.tried: list[tuple[Parcel, Outcome]] = []
        self._of_lanes: Counter[int] = Counter()
        self._resting: list[asyncio.Future[None]] = []
        self.woken = asyncio.Event()

    def add(self, parcel: Parcel, outcome: Outcome) -> None:
        self.tried.append((parcel, outcome))
        self._of_lanes[parcel.hint[2]] += 1
        self.woken.set()

    async def rest(self, parcel: Parcel) -> None:
        """Wait while too much of the parcel's lane is not written down."""
        while self._of_lanes[parcel.hint[2]] >= MOST_UNSETTLED_OF_LANE:
            written = asyncio.get_running_loop().create_future()
            self._resting.append(written)
            await written

    def has_enough(self) -> bool:
        return len(self.tried) > MOST_UNSETTLED

    async def settle_next(self, *, more_to_come: bool) -> None:
        """Wait until there is something, and write it down; what fails is tried again by the next call."""
        if not self.tried:
            self.woken.clear()
            await self.woken.wait()
            return
        if more_to_come and len(self.tried) < MOST_PER_SETTLE and not self._resting:
            await asyncio.sleep(SETTLED_TOGETHER)
        try:
            await self._settle(self.tried[:MOST_PER_SETTLE])
        except Refusal as refusal:
            log.warning("settle_failed", reason=refusal.message, waiting=len(self.tried))
            await asyncio.sleep(PAUSE)
        except Exception:
            await self._settle_first_apart()

    async def _settle(self, tried: list[tuple[Parcel, Outcome]]) -> None:
        settled = await self._database.write(
            actions.settle_tried,
            [(parcel.delivery, parcel.target, parcel.queue.family, outcome) for parcel, outcome in tried],
            self._node,
            self._clock(),
            self._hooks,
        )
        metrics.note_settled(settled)
        self._put_down(len(tried))

    async def _settle_first_apart(self) -> None:
        """One of a batch has a fault, its family's hook fails on it: the others must not wait for it. It is sent again
        when its lease is over."""
        parcel = self.tried[0][0]
        try:
            await self._settle(self.tried[:1])
        except Refusal:
            await asyncio.sleep(PAUSE)
        except Exception:
            log.exception("settle_failed", delivery=parcel.delivery.id)
            self._put_down(1)

    def _put_down(self, count: int) -> None:
        """The first ones are off our hands; lanes that rested for them go on."""
        parcels = [parcel for parcel, _ in self.tried[:count]]
        del self.tried[:count]
        self._of_lanes.subtract(parcel.hint[2] for parcel in parcels)
        self._of_lanes = +self._of_lanes
        resting, self._resting = self._resting, []
        for written in resting:
            if not written.done():
                written.set_result(None)
        self._let_go(parcels)
