"""What others do in the storage is noticed: by a watch where there can be one, else by looking again and again."""

import asyncio
import contextlib
import errno
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from asyncinotify import Event, Inotify, Mask

from undercroft.families.sync import wire
from undercroft.families.sync.storages import Storage
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.storage import Pace
from undercroft.families.sync.worker.aside import LARGE, Aside, Reading
from undercroft.families.sync.worker.bursts import Burst
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import GONE, Observer, Tell
from undercroft.families.sync.worker.watching import path_in

# After the last event on a path, before it is looked at (s): renames come in pairs, and who writes in place pauses.
SETTLED, STILL_WRITING, LONGEST_WAIT = 0.004, 0.4, 5.0
# What changed while it was looked at is looked at again (s), less often where each look is a request.
AGAIN, AGAIN_FAR = 0.05, 1.0
# After the last of many, or of few, that vanish, before it is told (s): by then a look has found no more.
QUIET, AT_FIRST, QUIET_FAR = 0.2, 0.1, 1.0
# What no watch tells is found by looking at everything again (s).
RESCAN_EVERY = 3_600.0
# The same where nothing can be watched, though it is a folder of this machine.
UNWATCHED_EVERY = 300.0
LOOK_FOR_ROOT = 1.0
# A storage that can't be reached is tried again after this (s), and twice as much each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
_AT_ONCE = Mask.CLOSE_WRITE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE

Ask = Callable[..., Awaitable[Any]]
"""Awaits a call in the thread that looks."""
Send = Callable[[wire.Message], Awaitable[None]]


class Unreachable(Exception):
    """At this moment; the message says what is wrong."""


class Noticing:
    def __init__(
        self,
        storage: Storage,
        index: Index,
        ask: Ask,
        send: Send,
        tell: Tell,
        begin: Callable[[Pace], None],
        stopped: threading.Event,
        aside: Aside | None = None,
    ) -> None:
        """`tell` is called in the thread that looks; so is `begin`, once, when the root has been found to be the right
        one and before anything in it is told of or changed. `stopped`: the server has hung up. `aside`: what is
        large is read there; None where all is read in the thread that looks."""
        self._storage = storage
        self._index = index
        self._ask_thread = ask
        self._send = send
        self._tell = tell
        self._begin: Callable[[Pace], None] | None = begin
        self._stopped = stopped
        self._aside = aside
        self._reading: Reading | None = None
        self._observer: Observer
        self._burst = Burst(QUIET, AT_FIRST) if storage.polled is None else Burst(QUIET_FAR, 0.0)
        self._is_watched = storage.polled is None
        self._every = storage.polled or RESCAN_EVERY
        self._tell_at = math.inf
        self._scanned_at = -math.inf
        self._due: dict[str, tuple[float, float]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._rescan = False
        self._doubt = False
        self.usable = asyncio.Event()
        """The root has been reached and is the right one: it may be changed."""

    def rescan(self) -> None:
        self._rescan = True
        self._woken.set()

    def look_at(self, paths: Iterable[str]) -> None:
        now = time.monotonic()
        for path in paths:
            self._due.setdefault(path, (now, now))
            self._woken.set()

    def doubt(self) -> None:
        """Something has failed: maybe the storage can't be reached any more."""
        if self._storage.polled is not None:
            self._doubt = True
            self._woken.set()

    def _wake(self) -> None:
        """From any thread; the loop may have ended meanwhile."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self, expected: int) -> None:
        """Until cancelled. `expected`: so many files should be there. Raises Vanished."""
        self._loop = asyncio.get_running_loop()
        if self._storage.polled is not None:
            self._observer = self._observer_by(None)
            return await self._keep_trying(expected)
        try:
            inotify = Inotify()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            return await self._look_without_watch(expected)
        with inotify:
            self._observer = self._observer_by(inotify)
            await self._ask(self._storage.check, expected)
            await until_one_ends(self._watch(inotify), self._keep_looking())
        return None

    def _observer_by(self, inotify: Inotify | None) -> Observer:
        large_from = math.inf if self._aside is None else LARGE
        return Observer(self._storage, self._index, inotify, self._tell, self._stopped, large_from)

    async def _look_without_watch(self, expected: int) -> None:
        """The machine takes no more watchers; the observer says so."""
        self._is_watched, self._every = False, UNWATCHED_EVERY
        self._burst = Burst(QUIET_FAR, 0.0)
        self._observer = self._observer_by(None)
        await self._ask(self._storage.check, expected)
        await self._keep_looking()

    async def _keep_trying(self, expected: int) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await self._ask(self._storage.check, max(expected, len(self._index)))
                await self._send(wire.Away(""))
                await self._keep_looking()
            except Unreachable as error:
                self.usable.clear()
                pause = FIRST_PAUSE if time.monotonic() - began > 2 * LONGEST_PAUSE else pause
                await self._send(wire.Away(str(error)))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _keep_looking(self) -> None:
        if self._begin is not None:
            await self._ask(self._begin, self._observer.go_on)
            self._begin = None
        self.usable.set()
        await self._scan()
        while True:
            await self._take_read()
            if self._rescan or time.monotonic() - self._scanned_at > self._every:
                await self._scan()
            if await self._look_at_ripe() or await self._look_on():
                continue
            if self._storage.polled is None or self._doubt:
                self._doubt = False
                await self._require_root()
            await self._rest(min(self._tell_at, self._scanned_at + self._every))

    async def _scan(self) -> None:
        self._rescan = False
        await self._look(self._observer.scan)
        self._scanned_at = time.monotonic()

    async def _look_at_ripe(self) -> bool:
        """Whether there was something to look at."""
        now = time.monotonic()
        # What is nearly due goes along: both halves of a rename have to be told of in one report.
        is_due = any(due <= now for due, _ in self._due.values())
        ripe = [path for path, (due, _) in self._due.items() if is_due and due <= now + SETTLED]
        for path in ripe:
            del self._due[path]
        if ripe:
            await self._look(self._observer.look_at, ripe)
        return bool(ripe)

    async def _look_on(self) -> bool:
        """Whether what has vanished was waiting for this moment. Where nothing is watched all is looked at again."""
        if time.monotonic() < self._tell_at:
            return False
        if self._is_watched:
            await self._look(self._observer.look_at, ())
        else:
            await self._scan()
        return True

    async def _look(self, look: Callable[..., None], *arguments: Any) -> None:
        """And tell what was found, unless more may be vanishing at this moment."""
        later, wait = await self._ask(self._look_and_tell, look, *arguments)
        now = time.monotonic()
        self._tell_at = now + wait if wait else math.inf
        for path in later:
            self._due.setdefault(path, (now + (AGAIN if self._storage.polled is None else AGAIN_FAR), now))
        self._read_aside()

    def _look_and_tell(self, look: Callable[..., None], *arguments: Any) -> tuple[list[str], float]:
        """What is to be looked at later, and in how long (s) all that is not told; in the thread that looks."""
        look(*arguments)
        wait = self._burst.wait(self._observer.vanished, time.monotonic())
        if not wait:
            return self._observer.tell(), wait
        return self._observer.tell_here() if self._is_watched else [], wait

    def _read_aside(self) -> None:
        """One large file after the other. What is read is given up where a look has found that it has changed or gone;
        what is to be looked at anyhow waits for that: it may be being written."""
        if self._aside is None:
            return
        if self._reading is not None:
            if not self._observer.is_wanted(self._reading.path, self._reading.revision):
                self._reading.give_up()
        elif large := self._observer.next_large(self._due):
            self._reading = self._aside.read(*large, self._wake)

    async def _take_read(self) -> None:
        if self._reading is not None and self._reading.is_done:
            reading, self._reading = self._reading, None
            await self._look(self._observer.take, reading.path, reading.revision, reading.result)

    async def _rest(self, until: float) -> None:
        self._woken.clear()
        if self._doubt or self._rescan or (self._reading is not None and self._reading.is_done):
            return
        now = time.monotonic()
        nearest = min([until, *(due for due, _ in self._due.values())])
        if self._storage.polled is None:
            nearest = min(nearest, now + LOOK_FOR_ROOT)
        with contextlib.suppress(TimeoutError):  # wait_for would swallow a cancellation that comes with an event
            async with asyncio.timeout(max(0.001, nearest - now)):
                await self._woken.wait()

    async def _require_root(self) -> None:
        """After looking: what was not there may not have been there for that."""
        here = self._storage.is_there() if self._storage.polled is None else await self._ask(self._storage.is_there)
        if not here:
            raise Vanished(GONE)

    async def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._ask_thread(call, *arguments)
        except OSError as error:
            if self._storage.polled is None:
                raise
            raise Unreachable(error.strerror or str(error)) from None

    # The watch

    async def _watch(self, inotify: Inotify) -> None:
        async for event in inotify:
            self._note(event)

    def _note(self, event: Event) -> None:
        if event.mask & Mask.Q_OVERFLOW:
            self.rescan()
            return
        folder = self._observer.folders.get(event.watch) if event.watch else None
        if event.mask & Mask.IGNORED and event.watch:
            self._observer.folders.pop(event.watch, None)
        if folder is None or event.name is None:
            return
        path = path_in(folder, os.fsencode(event.name))
        now = time.monotonic()
        first = self._due.get(path, (0.0, now))[1]
        wait = SETTLED if event.mask & (_AT_ONCE | Mask.ISDIR) else STILL_WRITING
        due = now if now - first > LONGEST_WAIT else now + wait
        self._due[path] = (due, first)
        self._woken.set()


async def until_one_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """All at once; when one has ended the others are cancelled. What it raised is raised."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
