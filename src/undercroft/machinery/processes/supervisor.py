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

import structlog

from undercroft.base.clock import SECOND, Clock
from undercroft.base.refusals import Kind, Refusal, not_found
from undercroft.database import Database
from undercroft.machinery.processes import children, store
from undercroft.machinery.processes.logs import Logs
from undercroft.machinery.processes.offspring import Offspring
from undercroft.machinery.processes.plan import AskToEnd, Child, Forgive, Kill, Spec, Start, Wait, after_end, plan
from undercroft.machinery.processes.store import Process
from undercroft.machinery.processes.troubles import ALL, Troubles

T = TypeVar("T")

log = structlog.get_logger()

# However the pidfds behave, everything is looked at again after this long (s).
LOOK_AGAIN = 5.0
# Who asks for an end, or a start, waits for it so long (s): more than what is asked, then killed, takes to go.
SETTLES_WITHIN = 30.0
DOES_NOT_END = "does_not_end"


class Supervisor:
    def __init__(self, database: Database, node: str, folder: Path, clock: Clock) -> None:
        """`folder`: for what the children write."""
        self._database = database
        self.node = node
        self._logs = Logs(folder)
        self._clock = clock
        self._known: dict[str, Process] = {}
        self._own = Offspring()
        self._troubles = Troubles()
        self._pids: dict[str, int | None] = {}
        self._watched: set[int] = set()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._measured: dict[str, children.Measured] = {}
        self._tending = asyncio.Lock()
        self._rotating: asyncio.Task[None] | None = None
        self._closing = False

    async def want(self, name: str, spec: Spec, *, up: bool) -> None:
        await self._database.write(store.want, name, self.node, spec, up)
        self._wake.set()

    def wake(self) -> None:
        """What is wanted has been written down by others."""
        self._wake.set()

    async def restart(self, name: str) -> None:
        await self._database.write(store.restart, name)
        self._wake.set()

    async def forget(self, name: str, within: float = SETTLES_WITHIN) -> None:
        """End it, wait for that (s), and know it no more.

        Raises Refusal(UNAVAILABLE, DOES_NOT_END) where it has not by then, as one that hangs in a system call: it is
        known until it has, killed again and again, and is forgotten when this is asked anew.
        """
        process = await self._database.read(store.find, name)
        if process is None:
            return
        await self.want(name, process.wanted.spec, up=False)
        await self.settled(name, within)
        if not await self._database.write(store.forget, name):
            raise Refusal(Kind.UNAVAILABLE, DOES_NOT_END, f"process {name} has not ended yet; try again when it has")
        self._known.pop(name, None)

    async def settled(self, name: str, seconds: float = SETTLES_WITHIN) -> bool:
        """Wait until it runs as wanted, or is down as wanted; whether that came about in time."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                while not await self._is_settled(name):
                    await self._changed.wait()
        except TimeoutError:
            return False
        await self.noted(name)  # whoever asks next is told of the child that it has now
        return True

    async def noted(self, name: str) -> Process | None:
        """As the table has it; it is known from now on. A start can be read there before who started it knows of it."""
        if (process := await self._database.read(store.find, name, self.node)) is not None:
            self._known[name] = process
        return process

    def known(self, name: str) -> Process | None:
        """As of the last look; None where it is none of this node's."""
        return self._known.get(name)

    def running(self, name: str) -> Child | None:
        process = self._known.get(name)
        return None if process is None else process.child

    def figures(self, name: str) -> children.Figures:
        """Raises LookupError where it does not run."""
        process = self._known.get(name)
        if process is None or process.child is None:
            raise LookupError(name)
        measured = self._measured.get(name)
        if measured is None or (measured.pid, measured.created) != (process.child.pid, process.created):
            measured = self._measured[name] = children.Measured(process.child.pid, process.created)
        return measured.figures()

    def log_of(self, name: str) -> Path:
        return self._logs.of(name)

    async def run(self) -> None:
        """Tend until closed."""
        while not self._closing:
            self._wake.clear()
            wait = await self._alone(ALL, self.tend(self._clock())) or LOOK_AGAIN
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    async def tend(self, now: int) -> float:
        """The step. Seconds until there is more to do, unless something changes before."""
        async with self._tending:
            processes = await self._database.read(store.all_of, self.node)
            self._know(processes)
            await self._end_strays()
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
            ending = [(p, p.child) for p in self._known.values() if p.child and not p.wanted.spec.outlives]
            await asyncio.gather(*(self._alone(process.name, self._end(process, child)) for process, child in ending))

    async def _alone(self, name: str, work: Awaitable[T]) -> T | None:
        """What goes wrong with one process is told, and keeps none of the others from its turn."""
        try:
            result = await work
        except Exception as error:
            self._troubles.note(name, error)
            return None
        self._troubles.over(name)
        return result

    async def _rotate(self, names: list[str], now: int) -> None:
        try:
            await asyncio.to_thread(self._logs.rotate, names, now)
        except Exception:
            log.exception("supervising_failed")

    def _know(self, processes: list[Process]) -> None:
        self._known = {process.name: process for process in processes}
        self._measured = {name: one for name, one in self._measured.items() if name in self._known}
        self._pids = {name: one.child and one.child.pid for name, one in self._known.items()}
        self._troubles.forget_but(self._pids)

    async def _end_strays(self) -> None:
        """Those that this server has started and that are in no row of this node: nobody would ever end them. One that
        another node of this machine has taken over is that one's to end; when it has, it is reaped here."""
        for name, pid, created in self._own.strays(self._pids):
            theirs = await self._database.read(store.find, name)
            if theirs is None or theirs.child is None or (theirs.child.pid, theirs.created) != (pid, created):
                log.warning("process_astray", process=name, pid=pid)
                self._own.dismiss(name)

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
                children.send(pid, process.created, signal.SIGKILL)
                self._troubles.note_kill(name, pid)
                await self._database.write(store.note_killed, name, self.node, now)
            case Forgive():
                await self._database.write(store.forgive, name, self.node)

    async def _start(self, process: Process, now: int) -> None:
        name, wanted = process.name, process.wanted
        self._own.dismiss(name)  # another node had it meanwhile
        try:
            started = await asyncio.to_thread(children.start, wanted.spec, self.log_of(name))
        except (OSError, ValueError) as error:  # a NUL or half a surrogate in its arguments
            log.error("process_cannot_start", process=name, reason=str(error))
            failed = after_end(Child(0, wanted.generation, now), process.past, wanted.spec, now)
            await self._database.write(store.note_ended, name, self.node, failed, f"can't be started: {error}")
            return
        self._own.children[name] = started
        child, is_noted = Child(started.pid, wanted.generation, now), False
        try:
            is_noted = await self._database.write(store.note_started, name, self.node, child, started.created)
        finally:
            if not is_noted:  # though it may be, where the answer was lost: it has done nothing yet
                self._own.dismiss(name)
        if not is_noted:
            log.warning("process_taken_over", process=name)
            return
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
        how = self._own.bury(process.name, child.pid, process.created)
        past = after_end(child, process.past, process.wanted.spec, now)
        if past.failures:
            log.warning("process_ended", process=process.name, pid=child.pid, how=how, failures=past.failures)
        await self._database.write(store.note_ended, process.name, self.node, past, how)
        return await self._reread(process)

    async def _end(self, process: Process, child: Child) -> None:
        graceful = process.wanted.spec.graceful / SECOND
        children.send(child.pid, process.created, signal.SIGTERM)
        is_gone = await self._gone(process, child, graceful)
        if not is_gone:
            children.send(child.pid, process.created, signal.SIGKILL)
            is_gone = await self._gone(process, child, graceful)
        now = self._clock()
        if is_gone:
            past = after_end(child._replace(asked_at=now), process.past, process.wanted.spec, now)
            await self._database.write(store.note_ended, process.name, self.node, past, "ended with the server")
        else:  # the next server goes on with it
            log.error("process_does_not_end", process=process.name, pid=child.pid)
            await self._database.write(store.note_asked, process.name, self.node, now)
            await self._database.write(store.note_killed, process.name, self.node, now)

    async def _gone(self, process: Process, child: Child, seconds: float) -> bool:
        ended = asyncio.Event()
        if not children.watch(child.pid, ended.set):
            return True
        try:
            await asyncio.wait_for(ended.wait(), seconds)
        except TimeoutError:
            return False
        self._own.bury(process.name, child.pid, process.created)
        return True

    async def _reread(self, process: Process) -> Process:
        return await self.noted(process.name) or process._replace(wanted=process.wanted._replace(up=False), child=None)

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
