"""In which threads operations are carried out: small ones in lanes, large ones one after the other in one of theirs."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from undercroft.families.sync.operations import Operation
from undercroft.families.sync.wire import Do, Done
from undercroft.families.sync.worker.carrying import SMALL, Carrier

OnDone = Callable[[Done, list[Operation]], None]


class Lane:
    """Operations one after the other."""

    def __init__(self, carrier: Carrier, made: Callable[..., Any]) -> None:
        """`made`: makes a call that it is given, in the thread."""
        self.carrier = carrier
        self._made = made
        self.waiting: list[Operation] = []
        self.turning = False
        self._thread = ThreadPoolExecutor(1)

    async def call(self, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._made, call, *args)

    def close_sources(self, entries: Collection[str]) -> None:
        """Before whatever it is given from now on."""
        self._thread.submit(self.carrier.close_sources, entries)

    def give_up(self) -> None:
        """What has not begun is not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        await asyncio.to_thread(self.carrier.close)


class Lanes:
    def __init__(self, small: list[Lane], large: Lane, together: int, on_done: OnDone) -> None:
        """`together`: so many small files are made durable together. `on_done` is called in the loop's thread."""
        self._small = small
        self._large = large
        self._together = together
        self._on_done = on_done

    def fit_for(self, size: int) -> Lane:
        """For what is asked for by itself, of so many bytes."""
        return self._large if size > SMALL else self._small[0]

    async def carry_out(self, do: Do) -> None:
        first: list[Operation] = [*do.deletes, *do.moves]
        small: list[Operation] = [put for put in do.puts if put.content.size <= SMALL]
        large: list[Operation] = [put for put in do.puts if put.content.size > SMALL]
        if len(self._small) == 1:
            first, small = [], first + small
        await self._in_rounds(first)
        await asyncio.gather(self._in_rounds(small), *(self._carry_out_in(self._large, [put]) for put in large))

    def close_sources(self, entries: Collection[str]) -> None:
        """They are elsewhere from now on."""
        for lane in (*self._small, self._large):
            lane.close_sources(entries)

    async def close(self) -> None:
        """When what is being carried out has ended: only then the next connection's operations may begin."""
        for lane in (*self._small, self._large):
            lane.give_up()
        for lane in (*self._small, self._large):
            await lane.close()

    async def _in_rounds(self, some: list[Operation]) -> None:
        size, lanes = self._together, self._small
        if len(lanes) == 1:
            return await self._in_turn(lanes[0], some, size)
        rounds = [some[at : at + size] for at in range(0, len(some), size)]
        await asyncio.gather(*(self._carry_out_in(lanes[n % len(lanes)], one) for n, one in enumerate(rounds)))
        return None

    async def _in_turn(self, lane: Lane, some: list[Operation], size: int) -> None:
        """What comes while a round is carried out goes into the next one: each costs two syncs, however large it is."""
        lane.waiting += some
        if lane.turning:
            return
        lane.turning = True
        while lane.waiting:
            one, lane.waiting = lane.waiting[:size], lane.waiting[size:]
            await self._carry_out_in(lane, one)
        lane.turning = False

    async def _carry_out_in(self, lane: Lane, some: list[Operation]) -> None:
        self._on_done(await lane.call(lane.carrier.carry_out, some), some)
