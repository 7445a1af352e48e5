"""Run by `croft lock run` beside the command: ends the command's process group when the lock does.

A process of its own, so that the command does not outlive the lock even where croft is killed or stopped. It reads
lines from stdin: the group, then after each renewal the seconds for which the lock is surely held, and `done` at the
end. Shortly before the lock ends the group gets SIGTERM, and SIGKILL as it ends; or at once, when croft is gone.
"""

import contextlib
import os
import select
import signal
import time

# Of what is left after a renewal, the last part is for a command that wants to tidy up (s, and as a share).
LONGEST_GRACE = 5.0
GRACE = 0.2
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def main() -> None:
    lines = _Lines()
    group = int(lines.next(None) or "0")
    if not group:
        return
    ends = asked = _now()
    told_to_end = False
    while True:
        seconds = ends - _now() if told_to_end else asked - _now()
        line = lines.next(max(0.0, seconds))
        if line == "done":
            return
        if line == "":  # croft is gone, and nobody renews the lock any more
            break
        if line is not None:
            left = float(line)
            ends = _now() + left
            asked = ends - min(LONGEST_GRACE, left * GRACE)
            told_to_end = told_to_end and left <= 0
        elif told_to_end:
            break
        else:
            told_to_end = True
            _signal(group, signal.SIGTERM)
    _signal(group, signal.SIGKILL)


class _Lines:
    """Lines of stdin, each waited for no longer than wanted."""

    def __init__(self) -> None:
        self._read = b""

    def next(self, seconds: float | None) -> str | None:
        """None when none came in time, "" at the end of all."""
        deadline = None if seconds is None else _now() + seconds
        while b"\n" not in self._read:
            left = None if deadline is None else max(0.0, deadline - _now())
            if not select.select([0], [], [], left)[0]:
                return None
            more = os.read(0, 4_096)
            if not more:
                return ""
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _now() -> float:
    return time.clock_gettime(_BOOT)


if __name__ == "__main__":
    main()
