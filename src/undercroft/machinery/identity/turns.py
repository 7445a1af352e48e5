"""Who is next where few can be served at a time: places take turns, so that a crowd from one holds up itself alone.

Those whom we know stand in lines of their own, and are served every other time: however many strangers there are,
and from however many places, they take neither their room nor more than every other turn.
"""

import asyncio
from collections import deque

from undercroft.base.refusals import Refusal, unavailable

MOST_WAITING = 256
"""Of those whom we know, and of strangers as many."""
MOST_PER_PLACE = 16


class Turns:
    """`at_once` are served at a time. Of one loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._known, self._strangers = _Crowd(), _Crowd()
        self._next, self._other = self._known, self._strangers

    async def wait(self, place: str, *, known: bool = False) -> None:
        """Until it is this one's turn, which `end` ends. Raises Refusal(UNAVAILABLE) where too many wait."""
        if self._free:
            self._free -= 1
            return
        turn = (self._known if known else self._strangers).join(place)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came at the same moment
                self.end()
            raise

    def end(self) -> None:
        """The next one has its turn."""
        served = self._next.serve_first() or self._other.serve_first()
        self._next, self._other = self._other, self._next
        if not served:
            self._free += 1


class _Crowd:
    def __init__(self) -> None:
        # In the order in which places are served; one that has been served goes to the end.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    def join(self, place: str) -> "asyncio.Future[None]":
        """A place in line, which is done when its turn has come. Raises Refusal(UNAVAILABLE)."""
        self._make_room(place)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(place, deque()).append(turn)
        return turn

    def serve_first(self) -> bool:
        """The next place's first who still waits has its turn; False where nobody does."""
        while self._lines:
            place = next(iter(self._lines))
            line = self._lines.pop(place)
            turn = line.popleft()
            if line:
                self._lines[place] = line
            if not turn.done():
                turn.set_result(None)
                return True
        return False

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
