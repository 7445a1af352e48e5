"""Who is let to the relay next. Its connections are few, and a call may hang: whose mail it is takes turns, and nobody
gets them all.

One namespace takes no more than half of the connections that are free, the next one half of what it left, and so on: a
newcomer finds one, also where all that the others have hang. As calls end, those who wait go in turn. Beside that one
connection is the house's own. Nothing is sent here.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from undercroft.machinery.deliveries.model import NoTurn

Turn = asyncio.Future[None]


class Room:
    def __init__(self, connections: int, house: str | None = None) -> None:
        """`house`: the namespace that always finds a connection, if there is more than one; None: there is none."""
        self._connections = connections
        self._house = house
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[Turn]] = {}
        """Those whose turn it was least lately come first."""

    @asynccontextmanager
    async def turn(self, whose: str, patience: float) -> AsyncIterator[None]:
        """One of the connections, within `patience` seconds. Raises NoTurn, also where it is called off meanwhile."""
        await self._come_in(whose, patience)
        try:
            yield
        finally:
            self._leave(whose)

    async def _come_in(self, whose: str, patience: float) -> None:
        if whose not in self._waiting and self._may(whose):
            self._taken[whose] += 1
            return
        turn: Turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(turn)
        try:
            await asyncio.wait({turn}, timeout=max(0.0, patience))
        except asyncio.CancelledError:
            self._give_up(whose, turn)
            raise NoTurn("it was called off before its turn came") from None
        if not turn.done():
            self._give_up(whose, turn)
            raise NoTurn("its turn did not come while its claim held")

    def _give_up(self, whose: str, turn: Turn) -> None:
        if turn.done():  # it came at the same moment
            self._leave(whose)
            return
        self._waiting[whose].remove(turn)
        if not self._waiting[whose]:
            del self._waiting[whose]

    def _leave(self, whose: str) -> None:
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]
        self._let_in()

    def _let_in(self) -> None:
        in_turn = sorted(self._waiting, key=lambda whose: whose != self._house)  # the house first, the others as before
        for whose in in_turn:
            if self._free() <= 0:
                return
            if self._may(whose):
                turns = self._waiting.pop(whose)
                self._taken[whose] += 1
                turns.popleft().set_result(None)
                if turns:
                    self._waiting[whose] = turns

    def _may(self, whose: str) -> bool:
        free = self._free()
        if whose == self._house and not self._taken[whose]:
            return free > 0
        return self._taken[whose] < free - self._kept_for_the_house()

    def _kept_for_the_house(self) -> int:
        has_its_own = self._house is None or self._taken[self._house] > 0
        return 0 if has_its_own or self._connections == 1 else 1

    def _free(self) -> int:
        return self._connections - self._taken.total()


def share_of_one(connections: int) -> int:
    """How many of them one namespace has, where no other has any."""
    return max(1, connections // 2)
