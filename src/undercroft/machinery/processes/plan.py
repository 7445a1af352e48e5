"""What to do about one process: pure. `plan(wanted, child, past, now)` gives one step; doing it is the supervisor's.

wanted, none runs     Start, after the pause that its crashes have earned
not wanted, runs      AskToEnd (SIGTERM), and Kill when `graceful` has passed
wanted otherwise      the same, then Start: a new generation is a restart
runs as wanted        Wait; after `warm_up` its crashes are forgiven
"""

from typing import NamedTuple

import msgspec

from undercroft.base.clock import SECOND

FIRST_PAUSE = SECOND // 5
LONGEST_PAUSE = 60 * SECOND
# A child that was killed and is still there after this long (ms) is killed again: it may hang in a system call.
KILLED_AGAIN = 5 * SECOND
# A moment that was noted and is later than now by more than this (ms) was noted before the clock was set back.
SET_BACK = SECOND


class Spec(msgspec.Struct, frozen=True):
    """How a process is run. It is kept in the database: no secrets in here."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """Beside the server's own PATH and HOME; nothing else is handed on."""
    folder: str | None = None
    graceful: int = 5 * SECOND
    """From SIGTERM to SIGKILL, ms."""
    warm_up: int = 5 * SECOND
    """One that has run so long counts as well, and what it did before is forgotten, ms."""
    outlives: bool = False
    """Whether it runs on while the server is stopped."""


class Wanted(NamedTuple):
    up: bool
    generation: int
    spec: Spec


class Child(NamedTuple):
    pid: int
    generation: int
    started_at: int
    asked_at: int | None = None
    """When it was asked to end."""
    killed_at: int | None = None


class Past(NamedTuple):
    failures: int = 0
    """Ends that nobody asked for, since it last ran for `warm_up`."""
    ended_at: int | None = None


class Start(NamedTuple):
    pass


class AskToEnd(NamedTuple):
    pid: int


class Kill(NamedTuple):
    pid: int


class Forgive(NamedTuple):
    """It has run long enough: its earlier crashes count no more."""


class Wait(NamedTuple):
    until: int | None
    """Look again then, ms; None: nothing to do until something changes."""


Step = Start | AskToEnd | Kill | Forgive | Wait


def plan(wanted: Wanted, child: Child | None, past: Past, now: int) -> Step:
    if child is None:
        return _when_none_runs(wanted, past, now)
    if wanted.up and wanted.generation == child.generation and child.asked_at is None:
        return _when_it_runs(wanted.spec, child, past, now)
    return _when_it_must_end(wanted.spec, child, now)


def pause(failures: int) -> int:
    """How long a crashed process waits for its next start (ms): twice as long after each crash."""
    return 0 if failures == 0 else min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)


def after_end(child: Child, past: Past, spec: Spec, now: int) -> Past:
    """What is remembered of a child that has ended. One that was asked to has not failed."""
    if child.asked_at is not None:
        return Past(0, now)
    return Past(1 if _is_warm(child, spec, now) else past.failures + 1, now)


def _when_none_runs(wanted: Wanted, past: Past, now: int) -> Step:
    if not wanted.up:
        return Wait(None)
    if past.ended_at is None or _was_set_back(past.ended_at, now):
        return Start()
    due = past.ended_at + pause(past.failures)
    return Start() if now >= due else Wait(due)


def _when_it_runs(spec: Spec, child: Child, past: Past, now: int) -> Step:
    if not past.failures:
        return Wait(None)
    return Forgive() if _is_warm(child, spec, now) else Wait(child.started_at + spec.warm_up)


def _when_it_must_end(spec: Spec, child: Child, now: int) -> Step:
    if child.killed_at is not None:
        again = child.killed_at + KILLED_AGAIN
        return Kill(child.pid) if now >= again or _was_set_back(child.killed_at, now) else Wait(again)
    if child.asked_at is None or _was_set_back(child.asked_at, now):  # asked again, its patience begins anew
        return AskToEnd(child.pid)
    patience_ends = child.asked_at + spec.graceful
    return Kill(child.pid) if now >= patience_ends else Wait(patience_ends)


def _is_warm(child: Child, spec: Spec, now: int) -> bool:
    """Whether it has run long enough. How long is not known where the clock was set back: it gets the benefit, once."""
    return now - child.started_at >= spec.warm_up or _was_set_back(child.started_at, now)


def _was_set_back(noted: int, now: int) -> bool:
    """What was noted by a clock that was set back since says nothing: nobody waits for it, be it an hour off."""
    return noted - now > SET_BACK
