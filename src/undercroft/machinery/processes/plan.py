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
    return Past(1 if now - child.started_at >= spec.warm_up else past.failures + 1, now)


def _when_none_runs(wanted: Wanted, past: Past, now: int) -> Step:
    if not wanted.up:
        return Wait(None)
    due = now if past.ended_at is None else past.ended_at + pause(past.failures)
    # A clock that was set back must not keep it down for longer than the pause itself.
    return Start() if now >= due or due - now > LONGEST_PAUSE else Wait(due)


def _when_it_runs(spec: Spec, child: Child, past: Past, now: int) -> Step:
    if not past.failures:
        return Wait(None)
    good_at = child.started_at + spec.warm_up
    return Forgive() if now >= good_at else Wait(good_at)


def _when_it_must_end(spec: Spec, child: Child, now: int) -> Step:
    if child.asked_at is None:
        return AskToEnd(child.pid)
    if child.killed_at is not None:
        again = child.killed_at + KILLED_AGAIN
        return Kill(child.pid) if now >= again else Wait(again)
    patience_ends = child.asked_at + spec.graceful
    return Kill(child.pid) if now >= patience_ends else Wait(patience_ends)
