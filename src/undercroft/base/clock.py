"""Time is handed in: integer milliseconds since 1970 in UTC, from a `Clock` that the assembly chooses."""

import time
from collections.abc import Callable

Clock = Callable[[], int]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# The last moment that a four-digit year can name; nothing is due later than that.
END_OF_TIME = 253_402_300_799_999


def steady_clock() -> int:
    """Milliseconds since some moment: for how long something takes or lasts. Nobody sets it."""
    return time.monotonic_ns() // 1_000_000


def wall_clock() -> int:
    """Milliseconds since 1970, as the machine believes it now. It may step both ways."""
    return time.time_ns() // 1_000_000
