"""Who is next where few can be served at a time: places take turns, so that a crowd from one holds up itself alone."""

import asyncio
from collections import deque

from undercroft.base.refusals import Refusal, unavailable

MOST_WAITING = 256
MOST_PER_PLACE = 16


class Turns:
    """`at_once` are served at a time. Of one loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        # In the order in which places are served; one that has been served goes to the end.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    async def wait(self, place: str) -> None:
        """Until it is this one's turn, which `end` ends. Raises Refusal(UNAVAILABLE) where too many wait."""
        if self._free:
            self._free -= 1
            return
        self._make_room(place)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(place, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came at the same moment
                self.end()
            raise

    def end(self) -> None:
        """The next place's first has its turn."""
        while self._lines:
            place = next(iter(self._lines))
            line = self._lines.pop(place)
            turn = line.popleft()
            if line:
                self._lines[place] = line
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _make_room(self, place: str) -> None:
        """Where all is full, the last of the longest line goes for one of a line that stays shorter."""
        mine = len(self._lines.get(place, ()))
        if mine >= MOST_PER_PLACE:
            raise _too_many()
        if sum(map(len, self._lines.values())) < MOST_WAITING:
            return
        longest = max(self._lines.values(), key=len)
        if len(longest) <= mine + 1:
            raise _too_many()
        last = longest.pop()
        if not last.done():
            last.set_exception(_too_many())


def _too_many() -> Refusal:
    return unavailable("too many passwords are being checked at this moment; try again in a few seconds")
