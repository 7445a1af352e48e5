"""What an entry's worker is given to do: all that the index says is behind, once, and again where it has failed."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Iterable

import structlog

from undercroft.database import Database
from undercroft.families.sync import actions, store, wire
from undercroft.families.sync.actions import Settled
from undercroft.families.sync.reconcile import Delete, Move, Operation, Put

log = structlog.get_logger()

# So many operations are in a worker's hands at once.
UNDER_WAY = 2_000
PAGE = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 60.0
# What another file is in the way of waits until that has gone, which is under way.
LONGEST_BLOCKED = 1.0
AFTER_FAILURE = 1.0
"""Seconds until what is to do is asked for again after the database could not say."""
# More files than these are not remembered one by one: everything that is behind is walked through instead.
MOST_NAMED = 10_000
# So is everything as often (s), whoever forgot to say that something has changed.
WALK_EVERY = 60.0

Send = Callable[[wire.Message], Awaitable[None]]


class Giving:
    def __init__(self, entry: str, database: Database, send: Send) -> None:
        self.failed: dict[str, str] = {}
        """Why, of what is tried again."""
        self._entry = entry
        self._database = database
        self._send = send
        self._woken = asyncio.Event()
        self._under_way: set[str] = set()
        self._again: dict[str, tuple[float, int]] = {}
        self._named: dict[str, None] = {}
        self._after: str | None = ""
        """How far everything that is behind has been walked through; None: to its end."""
        self._walked_at = 0.0

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def wake(self, paths: Iterable[str]) -> None:
        """These have changed."""
        self._named |= dict.fromkeys(paths)
        if len(self._named) > MOST_NAMED:
            self._named.clear()
            self._after = ""
        self._woken.set()

    def try_again(self) -> None:
        """What has failed, at once; and whatever else there is."""
        self._again = dict.fromkeys(self._again, (0.0, 0))
        self._after = ""
        self._woken.set()

    def note_failed(self, some: list[wire.Failed]) -> None:
        for failed in some:
            self._under_way.discard(failed.path)
            if not failed.expected:
                self.failed[failed.path] = failed.reason
            if not failed.version:  # a person asked for it, and may ask again
                continue
            _, times = self._again.get(failed.path, (0.0, 0))
            pause = min(FIRST_PAUSE * 2 ** min(times, 20), LONGEST_BLOCKED if failed.by else LONGEST_PAUSE)
            self._again[failed.path] = (time.monotonic() + pause, times + 1)
        self._woken.set()

    def note_settled(self, some: list[Settled]) -> None:
        """It is written down: before, it would be given again."""
        for one in some:
            self._under_way.discard(one.seen.path)
            self._forget(one.seen.path)
        self._woken.set()

    def note_scan(self) -> None:
        """What has failed and is not tried again has been shown for long enough."""
        self.failed = {path: reason for path, reason in self.failed.items() if path in self._again}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            wait = await self._give_due()
            with contextlib.suppress(TimeoutError):  # wait_for would swallow a cancellation that comes with work
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def _give_due(self) -> float:
        """Send all that is due; after how many seconds something may be due again."""
        asked = time.monotonic()
        if asked - self._walked_at > WALK_EVERY:
            self._after, self._walked_at = "", asked
        try:
            while await self._give_some(asked):
                asked = time.monotonic()
        except Exception:
            log.exception("giving_failed", entry=self._entry)
            self._after = ""
            return AFTER_FAILURE
        # Also what became due while the database was asked: it was not given.
        nearest = min((due for due, _ in self._again.values() if due > asked), default=asked + WALK_EVERY)
        return max(0.01, min(nearest, self._walked_at + WALK_EVERY) - time.monotonic())

    async def _give_some(self, asked: float) -> bool:
        """Send what is to do by this moment and not under way; whether there may be more."""
        room = min(UNDER_WAY - len(self._under_way), PAGE)
        if room <= 0:
            return False
        waiting = {path for path, (due, _) in self._again.items() if due > asked}
        leave = self._under_way | waiting
        wanted = self._due(asked, room) or self._changed(leave, room) or await self._next_behind(leave, room)
        if not wanted:
            return self._after is not None
        await self._give(await self._database.read(actions.to_do, self._entry, wanted, leave), wanted)
        return True

    def _due(self, asked: float, room: int) -> list[str]:
        """What has failed before and is to be tried again."""
        due = [path for path, (at, _) in self._again.items() if at <= asked and path not in self._under_way]
        return due[:room]

    def _changed(self, leave: Collection[str], room: int) -> list[str]:
        """What is said to have changed. What is under way by then is named again when it is done, if it is behind."""
        changed: list[str] = []
        while self._named and len(changed) < room:
            path = next(iter(self._named))
            del self._named[path]
            if path not in leave:
                changed.append(path)
        return changed

    async def _next_behind(self, leave: Collection[str], room: int) -> list[str]:
        """What comes next in the walk through all that is behind."""
        while self._after is not None:
            page = await self._database.read(store.behind_of, self._entry, self._after, PAGE)
            wanted = [path for path in page if path not in leave][:room]
            if len(wanted) == room:
                self._after = wanted[-1]
            else:
                self._after = page[-1] if len(page) == PAGE else None
            if wanted:
                return wanted
        return []

    async def _give(self, operations: list[Operation], wanted: list[str]) -> None:
        do = wire.Do([], [], [])
        for operation in operations:
            if operation.path in self._under_way:
                continue
            self._under_way.add(operation.path)
            match operation:
                case Put():
                    do.puts.append(operation)
                case Move():
                    self._under_way.add(operation.source)
                    do.moves.append(operation)
                case Delete():
                    do.deletes.append(operation)
        for path in wanted:
            if path not in self._under_way:  # there is nothing to do about it any more
                self._forget(path)
        if do.puts or do.moves or do.deletes:
            await self._send(do)

    def _forget(self, path: str) -> None:
        self._again.pop(path, None)
        self.failed.pop(path, None)
