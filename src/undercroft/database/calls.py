"""Calls that wait for their commit, and listeners that hear of it. Both engines use them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from undercroft.base.refusals import Refusal
from undercroft.database.interface import Listener

log = structlog.get_logger()


class Call:
    """One action with its arguments and, after the run, its result or its error."""

    __slots__ = ("action", "args", "batched", "error", "future", "kwargs", "once", "reads", "result", "since")

    future: "asyncio.Future[Any]"

    def __init__(
        self,
        action: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        batched: bool = False,
        once: bool = False,
        reads: bool = False,
        since: float | None = None,
    ) -> None:
        """`once`: it is not run again when it is durable. `reads`: it writes nothing, and sees one moment.
        `since`: when it was asked for, by `time.monotonic`; None for now."""
        self.action = action
        self.args = args
        self.kwargs = kwargs
        self.batched = batched
        self.once = once
        self.reads = reads
        self.since = time.monotonic() if since is None else since
        self.result: Any = None
        self.error: BaseException | None = None

    @staticmethod
    def answer_batch(calls: "list[Call]", answers: list[Any]) -> None:
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, Refusal):
                call.error = answer
            else:
                call.result = answer

    def fail(self, error: BaseException) -> None:
        self.error = error

    def resolve(self) -> None:
        """Wake the caller; it may have gone away meanwhile."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


# Seconds: how often a little is written to learn whether one can, how long that is waited for, and how long a disk is
# taken for full after a failure.
TRIED_EVERY = 5.0
LONGEST_TRY = 1.0
TROUBLE_LASTS = 30.0


class Trouble:
    """Whether the engine can't write for a reason that does not pass by itself: a full disk, a broken one."""

    def __init__(self) -> None:
        self._seen_at = float("-inf")
        self._try_again_at = float("-inf")

    def note(self) -> None:
        self._seen_at = time.monotonic()

    def is_there(self) -> bool:
        return time.monotonic() - self._seen_at < TROUBLE_LASTS

    async def look_for(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write a little, not each time that somebody asks. What holds the database up for long is not waited for."""
        now = time.monotonic()
        if now < self._try_again_at:
            return
        self._try_again_at = now + TRIED_EVERY
        trying = asyncio.ensure_future(write())
        trying.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([trying], timeout=LONGEST_TRY)


class Listeners:
    def __init__(self) -> None:
        self._by_topic: dict[str, list[Listener]] = {}

    def add(self, topic: str, listener: Listener) -> None:
        self._by_topic.setdefault(topic, []).append(listener)

    def announce(self, told: list[tuple[str, list[Any]]]) -> None:
        for topic, items in told:
            for listener in self._by_topic.get(topic, ()):
                try:
                    listener(items)
                except Exception:
                    log.exception("listener_failed", topic=topic)
