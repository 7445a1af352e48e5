"""What one node does for all: whichever holds the duty's lease does it, and goes on for as long as it renews it.

A duty is a step that is safe to run twice; the lease saves the work of others, and is no promise that two never meet.
"""

import asyncio
import contextlib

from undercroft.base.clock import SECOND
from undercroft.base.ids import new_secret
from undercroft.base.refusals import Refusal
from undercroft.machinery.leases.model import Acquire, Place, Span
from undercroft.machinery.leases.waiting import Leases
from undercroft.machinery.loops import Step

HOUSE = "house"
"""The family of the program's own leases."""

# Longer than the pause between two rounds of any duty: after a crash the others take over within it (ms).
TTL = 180 * SECOND


class Duties:
    def __init__(self, leases: Leases, node: str) -> None:
        """`node`: shown as the owner; the same in each run of the program on one data folder, and of no other."""
        self._leases = leases
        self._node = node
        self._names: set[str] = set()
        self._tokens: dict[str, str] = {}

    def alone(self, name: str, step: Step, *, ttl: int = TTL, otherwise: Step | None = None) -> Step:
        """The step, run only where and while this node has the duty; `otherwise`: where another has it.

        `ttl`: after a crash others take over within it (ms); longer than the pause between two rounds.
        """

        self._names.add(name)

        async def run(now: int) -> bool:
            if await self._is_ours(name, ttl):
                return await step(now)
            return otherwise is not None and await otherwise(now)

        return run

    async def take_back(self) -> None:
        """What an earlier run of this node had when it was killed is free at once. To be called before any step, by who
        holds the data folder: the earlier run held it, and has ended."""
        for name in self._names:
            lease = (await self._leases.look(Place(HOUSE, "", name))).lease
            if lease is not None and lease.owner == self._node:
                await self._leases.release(Place(HOUSE, "", name), lease.token)

    async def lay_down(self) -> None:
        """The node stops in order: others may take over at once."""
        releases = (self._leases.release(Place(HOUSE, "", name), token) for name, token in self._tokens.items())
        with contextlib.suppress(Refusal):
            await asyncio.gather(*releases)
        self._tokens.clear()

    async def _is_ours(self, name: str, ttl: int) -> bool:
        """Taken or renewed just now."""
        order = Acquire(Place(HOUSE, "", name), Span(ttl), new_secret(), self._tokens.get(name), self._node)
        answer = await self._leases.acquire(order)
        if answer.yes:
            self._tokens[name] = answer.token
        else:
            self._tokens.pop(name, None)
        return answer.yes
