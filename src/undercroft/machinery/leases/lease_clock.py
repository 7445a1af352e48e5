"""Lease time: the database's clock, with its steps taken out.

With PostgreSQL that is the clock of its server, so that nodes whose own clocks differ agree; with SQLite this
machine's. A look that finds the clock set, against what has passed since boot, shifts lease time by as much in the
same transaction: a lease that stands then lasts as long as it was granted for, whichever way the clock went.

What can't be known: how long a machine was off. A clock that went back meanwhile is noticed (lease time never runs
backward); one that went forward looks like a longer pause.
"""

import time
from collections.abc import Callable

from undercroft.base.clock import Clock
from undercroft.database import Transaction
from undercroft.machinery.leases import store
from undercroft.machinery.leases.model import STEP, Reading, Seen, step_between

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> int:
    """Milliseconds since the machine started, the ones that it slept included. Nobody can set it."""
    return time.clock_gettime_ns(_BOOT) // 1_000_000


class LeaseClock:
    def __init__(self, clock: Callable[[Transaction], int], boot: Clock = boot_clock) -> None:
        """`clock`: milliseconds since 1970, as who shares the leases agrees on; see `shared_clock`."""
        self._clock = clock
        self._boot = boot
        self._seen: Seen | None = None
        """The last look, its clock in lease time."""

    def reserve(self, tx: Transaction, numbers: int) -> Reading:
        """The time, and so many numbers. From here to the end of the transaction nobody else decides."""
        look = self._look(tx)
        state = store.advance(tx, numbers, look.clock)
        look, shift = self._judge(tx, look, state)
        now = max(look.clock + shift, state.at)
        if shift != state.shift:
            now = look.clock + shift
            store.shift(tx, shift, now, state.steps + 1)
        return Reading(now, now - shift, state.fence - numbers + 1)

    def read(self, tx: Transaction) -> Reading:
        """The time, in a transaction that writes nothing."""
        look = self._look(tx)
        state = store.state(tx)
        look, shift = self._judge(tx, look, state)
        now = max(look.clock + shift, state.at) if shift == state.shift else look.clock + shift
        return Reading(now, now - shift)

    def _look(self, tx: Transaction) -> Seen:
        before = self._boot()
        clock = self._clock(tx)
        slack = self._boot() - before
        return Seen(clock, before + slack // 2, slack)

    def _judge(self, tx: Transaction, look: Seen, state: store.State) -> tuple[Seen, int]:
        """The look that counts, and what turns its clock into lease time.

        What is remembered is lease time, so it does not matter who has taken a step out, nor whether the transaction
        of whoever did has failed: the next look compares the table with what has passed.
        """
        step = self._step(look, state.shift, state.at)
        if step:
            # The look may be from before a step that another node took out while this one waited for its turn.
            look = self._look(tx)
            step = self._step(look, state.shift, state.at)
        shift = state.shift - step
        self._seen = look._replace(clock=look.clock + shift)
        return look, shift

    def _step(self, look: Seen, shift: int, at: int) -> int:
        """By how much the clock was set and nobody has taken it out (ms)."""
        now = look._replace(clock=look.clock + shift)
        if self._seen is not None:
            return step_between(self._seen, now)
        behind = at - now.clock
        return -behind if behind > STEP else 0


def shared_clock(engine: str, wall: Clock) -> Callable[[Transaction], int]:
    """The clock that all nodes of a database share: the database's own, or ours where there is one node only."""
    return store.database_clock if engine == "postgres" else lambda _tx: wall()
