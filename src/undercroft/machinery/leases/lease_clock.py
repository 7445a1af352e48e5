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

    def reserve(self, tx: Transaction, numbers: int) -> Reading:
        """The time, and so many numbers. From here to the end of the transaction nobody else decides."""
        before = self._boot()
        wall = self._clock(tx)
        slack = self._boot() - before
        state = store.advance(tx, numbers, wall)
        seen = Seen(wall, before + slack // 2, slack, state.steps)
        shift = self._shift(state, seen)
        now = max(wall + shift, state.at)
        if shift != state.shift:
            now = wall + shift
            store.shift(tx, shift, now, state.steps + 1)
        return Reading(now, now - shift, state.fence - numbers + 1)

    def read(self, tx: Transaction) -> Reading:
        """The time, in a transaction that writes nothing."""
        before = self._boot()
        wall = self._clock(tx)
        slack = self._boot() - before
        state = store.state(tx)
        seen = Seen(wall, before + slack // 2, slack, state.steps)
        shift = self._shift(state, seen)
        now = max(wall + shift, state.at) if shift == state.shift else wall + shift
        return Reading(now, now - shift)

    def _shift(self, state: store.State, seen: Seen) -> int:
        """What turns the clock into lease time by now.

        A step stays unremembered until another look finds it in the table: the transaction may still fail. Of several
        nodes that see the same step, the first one writes it down.
        """
        known = self._seen
        if known is None:
            behind = state.at - (seen.clock + state.shift)
            if behind > STEP:
                return state.shift + behind
        elif known.steps == state.steps:
            step = step_between(known, seen)
            if step:
                return state.shift - step
        self._seen = seen
        return state.shift


def shared_clock(engine: str, wall: Clock) -> Callable[[Transaction], int]:
    """The clock that all nodes of a database share: the database's own, or ours where there is one node only."""
    return store.database_clock if engine == "postgres" else lambda _tx: wall()
