"""What the threads are at: a call to a disk that hangs neither ends nor moves, while the loop answers all the same."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# A folder of this machine answers within this (s) unless its disk hangs. As long may pass on the way to another server,
# where drivers give up by themselves: what is carried out may read from one.
DISK_ANSWERS, SERVERS_ANSWER = 60.0, 600.0
HANGS = "a call to its disk, or to a server that it copies from, has not come back for minutes; it is waited for"


@dataclass(frozen=True, eq=False)
class _Call:
    patience: float


class _Seen(NamedTuple):
    call: _Call
    signs: tuple[bytes, ...]
    since: float


class Calls:
    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        signs_of: Callable[[int], tuple[bytes, ...]] | None = None,
    ) -> None:
        """`clock`: in seconds; `signs_of` a thread: what changes while it moves."""
        self._clock = clock
        self._signs_of = signs_of or signs_of_life
        self._under_way: dict[int, _Call] = {}
        self._seen: dict[int, _Seen] = {}

    def made(self, patience: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In the thread that makes it."""
        thread = threading.get_native_id()
        self._under_way[thread] = _Call(patience)
        try:
            return call(*args, **kwargs)
        finally:
            del self._under_way[thread]

    def hangs(self) -> str:
        """Why, where one has not moved for longer than its patience, from one look to the next; "" else."""
        now = self._clock()
        self._seen = {thread: self._look(thread, call, now) for thread, call in self._under_way.copy().items()}
        return HANGS if any(now - seen.since >= seen.call.patience for seen in self._seen.values()) else ""

    def _look(self, thread: int, call: _Call, now: float) -> _Seen:
        signs, before = self._signs_of(thread), self._seen.get(thread)
        return before if before is not None and before[:2] == (call, signs) else _Seen(call, signs, now)


def signs_of_life(thread: int) -> tuple[bytes, ...]:
    """How often it was given a processor, as the kernel counts it: by that it finds hung tasks itself. And how long."""
    try:
        status = Path(f"/proc/self/task/{thread}/status").read_bytes()
        stat = Path(f"/proc/self/task/{thread}/stat").read_bytes()
    except OSError:
        return ()
    switches = [line for line in status.splitlines() if b"ctxt_switches" in line]
    return (*switches, *stat[stat.rindex(b")") + 2 :].split()[11:13])
