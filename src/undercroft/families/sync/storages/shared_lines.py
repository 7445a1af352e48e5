"""Connections that those who read have in common: a few to each place, in a loop and a thread of their own.

Making one costs a server far more than reading a file, and it lets in only so many at once. There is more than one
because a server may answer what it is asked on one in turn, and one file there may hang.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MOST = 3
"""Connections to one place; from then on they are shared."""
# One that nobody uses is closed after so long (s).
KEPT = 5.0
# One that nobody used is asked whether it lives (s).
ALIVE_WITHIN = 15.0


class Opened(NamedTuple):
    """A connection: its client, how it is asked whether it lives, and how it is closed, at once."""

    client: Any
    probe: Callable[[], Awaitable[object]]
    close: Callable[[], None]


Connect = Callable[[], Coroutine[Any, Any, Opened]]


class Line:
    """To one place; its connection is made anew when it has broken."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.users = 0
        self.opened: Opened | None = None
        self.connecting: asyncio.Task[Opened] | None = None
        self.closing: asyncio.TimerHandle | None = None


class Joined(NamedTuple):
    line: Line
    opened: Opened


class SharedLines:
    """For any number of threads."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[str, list[Line]] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the loop, waited for in this thread."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.SelectorEventLoop()
                threading.Thread(target=self._loop.run_forever, name="lines", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # In the loop

    async def join(self, place: str, connect: Connect) -> Joined:
        """A connection that lives, made where there are less than may be and none is free. Raises what `connect` does.

        `leave` it, or `end` it."""
        line = self._least_used(place)
        line.users += 1
        if line.closing is not None:
            line.closing.cancel()
        try:
            return Joined(line, await self._opened(line, connect))
        except BaseException:
            self._left(line)
            raise

    async def leave(self, joined: Joined) -> None:
        self._left(joined.line)

    async def end(self, joined: Joined) -> None:
        """It is broken: others who use it find out by themselves, and nobody else is given it."""
        if joined.line.opened is joined.opened:
            joined.line.opened = None
        joined.opened.close()
        self._left(joined.line)

    # Parts

    def _least_used(self, place: str) -> Line:
        lines = self._lines.setdefault(place, [])
        line = min(lines, key=lambda one: one.users, default=None)
        if line is None or (line.users and len(lines) < MOST):
            line = Line(place)
            lines.append(line)
        return line

    async def _opened(self, line: Line, connect: Connect) -> Opened:
        """Who gives up waiting is not all who wait."""
        if line.connecting is None:
            if line.opened is not None and line.users > 1:
                return line.opened  # somebody reads: a slow line would be taken for a dead one
            line.connecting = asyncio.create_task(self._connected(line, connect))
        return await asyncio.shield(line.connecting)

    async def _connected(self, line: Line, connect: Connect) -> Opened:
        try:
            if line.opened is None or not await _lives(line.opened):
                line.opened = await connect()
            return line.opened
        finally:
            line.connecting = None

    def _left(self, line: Line) -> None:
        line.users -= 1
        if not line.users:
            line.closing = asyncio.get_running_loop().call_later(KEPT, self._close, line)

    def _close(self, line: Line) -> None:
        lines = self._lines[line.place]
        lines.remove(line)
        if not lines:
            del self._lines[line.place]
        if line.connecting is not None:
            line.connecting.cancel()
        if line.opened is not None:
            line.opened.close()


async def _lives(opened: Opened) -> bool:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(ALIVE_WITHIN):
            await opened.probe()
        return True
    opened.close()
    return False
