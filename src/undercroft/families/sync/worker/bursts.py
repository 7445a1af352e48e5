"""Whether what has vanished is told now, or more of it is vanishing at this moment. Pure: times (s) are handed in."""

from undercroft.base.clock import SECOND
from undercroft.families.sync.wire import FEW, TOLD_WITHIN

# As many vanish without a wait within this long.
JUST_NOW = 1.0
LONGEST = TOLD_WITHIN / SECOND


class Burst:
    """More than FEW are told together: the server decides about all of them, or half would be gone before it knows."""

    def __init__(self, quiet: float, at_first: float) -> None:
        """`quiet`: many are over when nothing more has vanished for so long; `at_first`: so few as to be no wave."""
        self._quiet = quiet
        self._at_first = at_first
        self._told: list[tuple[float, int]] = []
        self._began: float | None = None
        self._grew = 0.0
        self._most = 0

    def wait(self, vanished: int, now: float) -> float:
        """So many have vanished by now and are not told: for how long to look on; 0 to tell it."""
        self._told = [(at, count) for at, count in self._told if now - at < JUST_NOW]
        if vanished > 0:
            if self._began is None:
                self._began, self._most = now, 0
            if vanished > self._most:
                self._most, self._grew = vanished, now
            are_many = vanished + sum(count for _, count in self._told) > FEW
            quiet = self._quiet if are_many else self._at_first
            left = min(self._grew + quiet, self._began + LONGEST) - now
            if left > 0:
                return left
            self._told.append((now, vanished))
        self._began = None
        return 0.0
