"""Threads in which storages are read for whoever asks over HTTP: a few, of which one entry has fewer.

A storage that hangs takes those of its entry, and nothing else waits for it: what takes too long is counted no more
among those that all have in common. They are daemons: a server that stops does not wait for it either.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MOST, MOST_OF_ONE = 16, 3
# Seconds; less than anybody waits for a thread.
HANGING_AFTER = 1.0
# Of threads in all, whatever hangs.
MOST_WITH_HANGING = 256
# A thread that has had nothing to do for so long (s) ends.
IDLE = 10.0


class _Job(NamedTuple):
    entry: str
    work: Callable[[], Any]
    outcome: "asyncio.Future[Any]"


_Letters = SimpleQueue[_Job | None]
"""To one thread; None ends it."""


class Threads:
    """For one event loop, which alone changes what is here."""

    def __init__(self, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._busy: Counter[str] = Counter()
        self._hanging: set[asyncio.Future[Any]] = set()
        self._watches: dict[asyncio.Future[Any], asyncio.TimerHandle] = {}
        self._lines: dict[str, deque[_Job]] = {}
        """Who waits, by entry; the one whose turn it was last is at the end."""
        self._idle: list[_Letters] = []

    def are_taken(self, entry: str) -> bool:
        """Whether what is asked of it now has to wait."""
        busy = self._busy.total()
        are_all = busy - len(self._hanging) >= self._most or busy >= MOST_WITH_HANGING
        return are_all or self._busy[entry] >= self._most_of_one

    def ask(self, entry: str, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Its outcome. Work that is begun can't be broken off: whoever gives up waiting (by `asyncio.wait`, for nobody
        may cancel the future) closes what it gives in the end."""
        job = _Job(entry, work, asyncio.get_running_loop().create_future())
        self._lines.setdefault(entry, deque()).append(job)
        self._go_on()
        return job.outcome

    def take_back(self, entry: str, outcome: "asyncio.Future[Any]") -> bool:
        """Whether it was still waiting for a thread; then it is never done."""
        line = self._lines.pop(entry, deque())
        left = deque(job for job in line if job.outcome is not outcome)
        if left:
            self._lines[entry] = left
        return len(left) < len(line)

    def _go_on(self) -> None:
        while (entry := next((one for one in self._lines if not self.are_taken(one)), None)) is not None:
            line = self._lines.pop(entry)
            job = line.popleft()
            if line:
                self._lines[entry] = line
            self._busy[entry] += 1
            watch = asyncio.get_running_loop().call_later(HANGING_AFTER, self._note_hanging, job.outcome)
            self._watches[job.outcome] = watch
            letters = self._idle.pop() if self._idle else self._new_thread()
            letters.put(job)

    def _note_hanging(self, outcome: "asyncio.Future[Any]") -> None:
        self._hanging.add(outcome)
        self._go_on()

    def _new_thread(self) -> _Letters:
        letters: _Letters = SimpleQueue()
        arguments = (letters, asyncio.get_running_loop())
        threading.Thread(target=self._serve, args=arguments, name="content", daemon=True).start()
        return letters

    def _finish(self, letters: _Letters, job: _Job, result: Any, error: BaseException | None) -> None:
        self._idle.append(letters)
        self._watches.pop(job.outcome).cancel()
        self._hanging.discard(job.outcome)
        self._busy[job.entry] -= 1
        if not self._busy[job.entry]:
            del self._busy[job.entry]
        if error is None:
            job.outcome.set_result(result)
        else:
            job.outcome.set_exception(error)
        self._go_on()

    def _dismiss(self, letters: _Letters) -> None:
        if letters in self._idle:  # else it has something to do by now
            self._idle.remove(letters)
            letters.put(None)

    # In a thread

    def _serve(self, letters: _Letters, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while True:
                try:
                    job = letters.get(timeout=IDLE)
                except Empty:
                    loop.call_soon_threadsafe(self._dismiss, letters)
                    continue
                if job is None:
                    return
                loop.call_soon_threadsafe(self._finish, letters, job, *_done(job.work))
        except RuntimeError:  # the loop has ended, and the server with it
            return


def _done(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error
