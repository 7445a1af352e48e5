"""What an entry's worker is given to do: all that the index says is behind, once, and again where it has failed."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Container, Iterable
from dataclasses import dataclass

import structlog

from undercroft.families.sync import actions, store, wire
from undercroft.families.sync.failing import Failing
from undercroft.families.sync.operations import Delete, Move, Operation, Put, Settled
from undercroft.families.sync.terms import Superseded, Term

log = structlog.get_logger()

# So many operations are in a worker's hands at once.
UNDER_WAY = 2_000
# So many of them at most have failed before: what has not never waits for all that does.
MOST_TRIED = UNDER_WAY // 4
PAGE = 500
AFTER_FAILURE = 1.0
"""Seconds until what is to do is asked for again after the database could not say."""
# More files than these are not remembered one by one: everything that is behind is walked through instead.
MOST_NAMED = 10_000
# So is everything as often (s), whoever forgot to say that something has changed.
WALK_EVERY = 60.0

Send = Callable[[wire.Message], Awaitable[None]]
"""Raises HungUp."""


class HungUp(ConnectionError):
    """The worker is not there any more."""


class Giving:
    def __init__(self, entry: str, term: Term, send: Send) -> None:
        self.failed: dict[str, str] = {}
        """Why."""
        self._entry = entry
        self._term = term
        self._send = send
        self._woken = asyncio.Event()
        self._under_way: set[str] = set()
        self._failing = Failing()
        self._told_once: set[str] = set()
        """Of what has failed, and is not tried again."""
        self._named: dict[str, None] = {}
        self._after: str | None = ""
        """How far everything that is behind has been walked through; None: to its end."""
        self._walks = 0
        self._walked_at = 0.0
        self._told_in_step = False

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def wake(self, paths: Iterable[str]) -> None:
        """These have changed."""
        now = time.monotonic()
        for path in paths:
            self._named[path] = None
            self._failing.hasten(path, now)
        if len(self._named) > MOST_NAMED:
            self._named.clear()
            self._walk_anew()
        self._woken.set()

    def try_again(self) -> None:
        """What has failed, at once; and whatever else there is."""
        self._failing.try_all(time.monotonic())
        self._walk_anew()
        self._woken.set()

    def note_failed(self, some: list[wire.Failed]) -> None:
        now = time.monotonic()
        for failed in some:
            self._under_way.discard(failed.path)
            if not failed.expected:
                self.failed[failed.path] = failed.reason
            if failed.version:
                self._failing.note(failed.path, now, blocked=bool(failed.by), overtaken=failed.expected)
            else:  # a person asked for it, and may ask again
                self._told_once.add(failed.path)
        self._woken.set()

    def note_settled(self, some: list[Settled]) -> None:
        """It is written down: before, it would be given again."""
        for one in some:
            self._under_way.discard(one.seen.path)
            self._forget(one.seen.path)
        self._woken.set()

    def note_scan(self) -> None:
        """What has failed and is not tried again has been shown for long enough."""
        for path in self._told_once:
            if path not in self._failing:
                self.failed.pop(path, None)
        self._told_once.clear()

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
            self._walked_at = asked
            self._walk_anew()
        try:
            while await self._give_some(asked):
                asked = time.monotonic()
        except (HungUp, Superseded):
            return WALK_EVERY  # nobody is there any more, or nothing to be given: who runs this ends it
        except Exception:
            log.exception("giving_failed", entry=self._entry)
            self._walk_anew()
            return AFTER_FAILURE
        # Also what became due while the database was asked: it was not given.
        walk = self._walked_at + WALK_EVERY
        return max(0.01, min(self._failing.next_due(asked) or walk, walk) - time.monotonic())

    async def _give_some(self, asked: float) -> bool:
        """Send what is to do by this moment and not under way; whether there may be more.

        What has changed goes first, what has failed and all that is behind along with it: none of the three waits for
        another's end.
        """
        room = min(UNDER_WAY - len(self._under_way), PAGE)
        if room <= 0:
            return False
        leave = _Left(frozenset(self._under_way), self._failing, asked)
        wanted = dict.fromkeys(self._changed(leave, room - room // 4))
        tried = min(room - len(wanted), MOST_TRIED - self._failing.tried)
        wanted |= dict.fromkeys(self._failing.due(asked, tried))
        wanted |= dict.fromkeys(await self._next_behind(leave, room - len(wanted)))
        if not wanted:
            return self._after is not None
        paths = list(wanted)
        await self._give(await self._term.read(actions.to_do, self._entry, paths, leave), paths)
        return True

    def _changed(self, leave: Container[str], most: int) -> list[str]:
        """What is said to have changed. What is under way by then is named again when it is done, if it is behind."""
        changed: list[str] = []
        while self._named and len(changed) < most:
            path = next(iter(self._named))
            del self._named[path]
            if path not in leave:
                changed.append(path)
        return changed

    async def _next_behind(self, leave: Container[str], most: int) -> list[str]:
        """What comes next in the walk through all that is behind, of a page of it."""
        if self._after is None or not most:
            return []
        after, walk = self._after, self._walks
        page = await self._term.read(store.behind_of, self._entry, after, PAGE)
        wanted = [path for path in page if path not in leave and path not in self._failing][:most]
        if self._walks != walk:  # it begins anew
            return wanted
        if not page and not after and not self._told_in_step:
            self._told_in_step = True
            await self._send(wire.InStep())
        if len(wanted) == most:
            self._after = wanted[-1]
        else:
            self._after = page[-1] if len(page) == PAGE else None
        return wanted

    def _walk_anew(self) -> None:
        self._walks += 1
        self._after = ""

    async def _give(self, operations: list[Operation], wanted: list[str]) -> None:
        do = wire.Do([], [], [])
        for operation in operations:
            if operation.path in self._under_way:
                continue
            self._begin(operation.path)
            match operation:
                case Put():
                    do.puts.append(operation)
                case Move():
                    self._begin(operation.source)
                    do.moves.append(operation)
                case Delete():
                    do.deletes.append(operation)
        for path in wanted:
            if path not in self._under_way:  # there is nothing to do about it any more
                self._forget(path)
        if do.puts or do.moves or do.deletes:
            self._told_in_step = False
            await self._send(do)

    def _begin(self, path: str) -> None:
        self._under_way.add(path)
        self._failing.begin(path)

    def _forget(self, path: str) -> None:
        self._failing.forget(path)
        self.failed.pop(path, None)


@dataclass(frozen=True)
class _Left:
    """What is not to be given at this moment; asked in the thread that reads, too."""

    under_way: frozenset[str]
    failing: Failing
    asked: float

    def __contains__(self, path: object) -> bool:
        return path in self.under_way or (isinstance(path, str) and self.failing.waits(path, self.asked))
