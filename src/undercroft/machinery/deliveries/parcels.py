"""What a courier has claimed and not yet sent, target by target, and the tasks that send it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from undercroft.machinery.deliveries.claims import Due
from undercroft.machinery.deliveries.model import Delivery, Queue, Target


class Parcel(NamedTuple):
    delivery: Delivery
    target: Target
    queue: Queue
    hint: Due
    """What led to it. Its target is the lane that made room, also where the row was given to another meanwhile."""


class Parcels:
    def __init__(self, send: Callable[[Parcel], Coroutine[Any, Any, None]]) -> None:
        self._send = send
        self._lines: dict[int, deque[Parcel]] = {}
        self._senders: dict[int, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        """Calls under way, and what else has to end before the courier does."""

    def add(self, parcel: Parcel) -> None:
        self._lines.setdefault(parcel.target.id, deque()).append(parcel)

    def start_senders(self, target: int, most: int) -> None:
        """As many tasks as the lane allows, each taking parcels until there are none: cheaper than a task each."""
        line = self._lines[target]
        running = self._senders.get(target, 0)
        wanted = min(most, running + len(line))
        for _ in range(wanted - running):
            self.begin(self._send_all(target, line))
        self._senders[target] = max(wanted, running)

    def take_back(self, is_meant: Callable[[Parcel], bool] = lambda _parcel: True) -> list[Parcel]:
        """Those of these that are not yet under way; nobody sends them any more."""
        taken: list[Parcel] = []
        for line in self._lines.values():
            meant = [parcel for parcel in line if is_meant(parcel)]
            if meant:
                kept = [parcel for parcel in line if not is_meant(parcel)]
                line.clear()
                line.extend(kept)
                taken += meant
        return taken

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _send_all(self, target: int, line: deque[Parcel]) -> None:
        try:
            while line:
                await self._send(line.popleft())
        finally:
            self._senders[target] -= 1
            if not self._senders[target]:
                del self._senders[target]
                if not line and self._lines.get(target) is line:
                    del self._lines[target]
