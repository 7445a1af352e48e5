"""What runs for ever beside the requests, with one contract.

A loop is a step and an interval. The step does a bounded piece of work and says whether there is more; it is what
tests call. A step that raises is logged and tried again after a pause that grows: RESTART. `stop` lets the step under
way finish: STOP. A step that raises `Fatal` ends the program: END.

What has a rhythm of its own (the courier) is kept by `keep`: it returns when it was stopped, and whatever else ends it
ends the program, which is better than one that stands there and does half its work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal

log = structlog.get_logger()

Step = Callable[[int], Awaitable[bool]]

LONGEST_PAUSE = 30.0


class Fatal(Exception):
    """The program can't go on; the message says why and what to do."""


class Loop(NamedTuple):
    name: str
    step: Step
    every: float
    """Seconds from the end of one round to the start of the next; a step that has more to do goes on at once."""


class Loops:
    """Runs loops until stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.ended: asyncio.Future[Fatal] = asyncio.get_running_loop().create_future()
        """Done when a loop asks for the end of the program."""

    def start(self, loops: list[Loop]) -> None:
        self._tasks += [self.keep(loop.name, self._run(loop)) for loop in loops]

    def keep(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this until it returns. If it breaks off instead, that is the end of the program."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note_end)
        return task

    async def stop(self) -> None:
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, loop: Loop) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                more = await loop.step(self._clock())
                failures = 0
                if more:
                    continue
            except Fatal as fatal:
                self._end(fatal)
                return
            except Refusal as refusal:
                failures += 1
                log.warning("loop_waits", loop=loop.name, reason=refusal.message)
            except Exception:
                failures += 1
                log.exception("loop_failed", loop=loop.name)
            await self._rest(_pause(loop.every, failures))

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if self._stopping.is_set() or not (task.cancelled() or task.exception()):
            return
        error = None if task.cancelled() else task.exception()
        log.error("loop_broke_off", loop=task.get_name(), exc_info=error)
        what = "it was cancelled" if error is None else f"{type(error).__name__}: {error}"
        self._end(Fatal(f"{task.get_name()} broke off ({what}); the log says where, start the server again"))

    def _end(self, fatal: Fatal) -> None:
        if not self.ended.done():
            self.ended.set_result(fatal)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _pause(every: float, failures: int) -> float:
    """Twice as long after each failure, up to LONGEST_PAUSE; never shorter than usual."""
    return max(every, min(every * 2.0 ** min(failures, 20), LONGEST_PAUSE))
