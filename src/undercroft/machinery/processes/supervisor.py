"""Carries out what `plan` says, for the processes of one node.

The table says what is wanted and what runs. Children are in sessions of their own and write to files, so that they
live on when the server is killed; the next one finds them again by pid and start time. `tend` is the step: it looks at
all, does what is to do and says when to look again. A child's end wakes it at once, through its pidfd.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import psutil
import structlog

from undercroft.base.clock import SECOND, Clock
from undercroft.base.refusals import Refusal, not_found
from undercroft.database import Database
from undercroft.machinery.processes import children, store
from undercroft.machinery.processes.logs import Logs
from undercroft.machinery.processes.plan import AskToEnd, Child, Forgive, Kill, Spec, Start, Wait, after_end, plan
from undercroft.machinery.processes.store import Process

T = TypeVar("T")

log = structlog.get_logger()

# However the pidfds behave, everything is looked at again after this long (s).
LOOK_AGAIN = 5.0


class Supervisor:
    def __init__(self, database: Database, node: str, folder: Path, clock: Clock) -> None:
        """`folder`: for what the children write."""
        self._database = database
        self.node = node
        self._logs = Logs(folder)
        self._clock = clock
        self._known: dict[str, Process] = {}
        self._started: dict[str, children.Started] = {}
        self._watched: set[int] = set()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._measured: dict[int, psutil.Process] = {}
        self._tending = asyncio.Lock()
        self._rotating: asyncio.Task[None] | None = None
        self._closing = False

    async def want(self, name: str, spec: Spec, *, up: bool) -> None:
        await self._database.write(store.want, name, self.node, spec, up)
        self._wake.set()

    async def restart(self, name: str) -> None:
        await self._database.write(store.restart, name)
        self._wake.set()

    async def forget(self, name: str) -> None:
        """End it, wait for that, and know it no more."""
        process = self._known.get(name) or await self._database.read(store.find, name)
        if process is None:
            return
        await self.want(name, process.wanted.spec, up=False)
        await self.settled(name)
        await self._database.write(store.forget, name)
        self._known.pop(name, None)

    async def settled(self, name: str, seconds: float = 30) -> bool:
        """Wait until it runs as wanted, or is down as wanted; whether that came about in time."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                while not await self._is_settled(name):
                    await self._changed.wait()
        except TimeoutError:
            return False
        if (process := await self._database.read(store.find, name, self.node)) is not None:
            self._known[name] = process  # whoever asks next is told of the child that it has now
        return True

    def running(self, name: str) -> Child | None:
        process = self._known.get(name)
        return None if process is None else process.child

    def figures(self, name: str) -> children.Figures:
        """As `children.figures`. Raises LookupError where it does not run."""
        child = self.running(name)
        if child is None:
            raise LookupError(name)
        return children.figures(child.pid, self._measured)

    def log_of(self, name: str) -> Path:
        return self._logs.of(name)

    async def run(self) -> None:
        """Tend until closed."""
        while not self._closing:
            self._wake.clear()
            wait = LOOK_AGAIN
            try:
                wait = await self.tend(self._clock())
            except Exception:
                log.exception("supervising_failed")
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    async def tend(self, now: int) -> float:
        """The step. Seconds until there is more to do, unless something changes before."""
        async with self._tending:
            processes = await self._database.read(store.all_of, self.node)
            self._known = {process.name: process for process in processes}
            looks = [await self._alone(process.name, self._tend_one(process, now)) for process in processes]
        async with self._changed:
            self._changed.notify_all()
        if self._rotating is None or self._rotating.done():  # beside all this: a slow disk keeps no process waiting
            self._rotating = asyncio.create_task(self._rotate([process.name for process in processes], now))
        return min([LOOK_AGAIN, *(look for look in looks if look is not None)])

    async def close(self) -> None:
        """The server stops: end those that don't outlive it. They stay wanted, and run again with the next server."""
        self._closing = True
        self._wake.set()
        async with self._tending:
            ending = [p for p in self._known.values() if p.child is not None and not p.wanted.spec.outlives]
            await asyncio.gather(*(self._alone(process.name, self._end(process)) for process in ending))

    async def _alone(self, name: str, work: Awaitable[T]) -> T | None:
        """What goes wrong with one process is told, and keeps none of the others from its turn."""
        try:
            return await work
        except Refusal as refusal:
            log.warning("process_waits", process=name, reason=refusal.message)
        except Exception:
            log.exception("process_not_tended", process=name)
        return None

    async def _rotate(self, names: list[str], now: int) -> None:
        try:
            await asyncio.to_thread(self._logs.rotate, names, now)
        except Exception:
            log.exception("supervising_failed")

    # One process

    async def _tend_one(self, process: Process, now: int) -> float | None:
        process = await self._note_end(process, now)
        for _ in range(4):  # an end, a forgiving and a start may follow each other at once
            step = plan(process.wanted, process.child, process.past, now)
            if isinstance(step, Wait):
                return None if step.until is None else max(0.01, (step.until - now) / SECOND)
            await self._carry_out(process, step, now)
            process = await self._reread(process)
        return 0.01

    async def _carry_out(self, process: Process, step: Start | AskToEnd | Kill | Forgive, now: int) -> None:
        name = process.name
        match step:
            case Start():
                await self._start(process, now)
            case AskToEnd(pid):
                children.send(pid, process.created, signal.SIGTERM)
                await self._database.write(store.note_asked, name, self.node, now)
            case Kill(pid):
                log.warning("process_killed", process=name, pid=pid)
                children.send(pid, process.created, signal.SIGKILL)
                await self._database.write(store.note_killed, name, self.node, now)
            case Forgive():
                await self._database.write(store.forgive, name, self.node)

    async def _start(self, process: Process, now: int) -> None:
        name, wanted = process.name, process.wanted
        if (forgotten := self._started.pop(name, None)) is not None:  # another node had it meanwhile
            await asyncio.to_thread(forgotten.give_up)
        try:
            started = await asyncio.to_thread(children.start, wanted.spec, self.log_of(name))
        except (OSError, ValueError) as error:  # a NUL or half a surrogate in its arguments
            log.error("process_cannot_start", process=name, reason=str(error))
            failed = after_end(Child(0, wanted.generation, now), process.past, wanted.spec, now)
            await self._database.write(store.note_ended, name, self.node, failed, f"can't be started: {error}")
            return
        child = Child(started.pid, wanted.generation, now)
        if not await self._database.write(store.note_started, name, self.node, child, started.created):
            log.warning("process_taken_over", process=name)
            await asyncio.to_thread(started.give_up)
            return
        self._started[name] = started
        started.let_go()
        self._watch(started.pid)
        log.info("process_started", process=name, pid=started.pid)

    async def _note_end(self, process: Process, now: int) -> Process:
        child = process.child
        if child is None:
            return process
        if children.is_alive(child.pid, process.created):
            self._watch(child.pid)
            return process
        started = self._started.get(process.name)
        code = self._started.pop(process.name).reaped() if started is not None and started.pid == child.pid else None
        past = after_end(child, process.past, process.wanted.spec, now)
        how = "ended" if code is None else f"ended with {code}" if code >= 0 else f"ended by signal {-code}"
        if past.failures:
            log.warning("process_ended", process=process.name, pid=child.pid, how=how, failures=past.failures)
        await self._database.write(store.note_ended, process.name, self.node, past, how)
        return await self._reread(process)

    async def _end(self, process: Process) -> None:
        child, graceful = process.child, process.wanted.spec.graceful / SECOND
        if child is None:
            return
        children.send(child.pid, process.created, signal.SIGTERM)
        if not await self._gone(process, child, graceful):
            children.send(child.pid, process.created, signal.SIGKILL)
            await self._gone(process, child, graceful)
        now = self._clock()
        past = after_end(child._replace(asked_at=now), process.past, process.wanted.spec, now)
        await self._database.write(store.note_ended, process.name, self.node, past, "ended with the server")

    async def _gone(self, process: Process, child: Child, seconds: float) -> bool:
        ended = asyncio.Event()
        if not children.watch(child.pid, ended.set):
            return True
        try:
            await asyncio.wait_for(ended.wait(), seconds)
        except TimeoutError:
            return False
        started = self._started.pop(process.name, None)
        if started is not None:
            await asyncio.to_thread(started.reaped)
        return True

    async def _reread(self, process: Process) -> Process:
        found = await self._database.read(store.find, process.name, self.node)
        if found is not None:
            self._known[process.name] = found
        return found or process._replace(wanted=process.wanted._replace(up=False), child=None)

    async def _is_settled(self, name: str) -> bool:
        process = await self._database.read(store.find, name)
        if process is None:
            raise not_found("process", f"there is no process {name!r}")
        child, wanted = process.child, process.wanted
        if not wanted.up:
            return child is None
        return child is not None and child.generation == wanted.generation and child.asked_at is None

    def _watch(self, pid: int) -> None:
        if pid in self._watched:
            return

        def ended() -> None:
            self._watched.discard(pid)
            self._wake.set()

        with contextlib.suppress(OSError):  # no descriptor is free: it is looked at again in its time
            if children.watch(pid, ended):
                self._watched.add(pid)
            else:
                self._wake.set()
