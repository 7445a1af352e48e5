"""When a mail that a relay put off is tried again, how many go out at once, how long idempotency keys are kept."""

from typing import NamedTuple

from undercroft.base.clock import DAY

# Seconds between attempts: closer at first, for relays that take nothing from a stranger before the second time; given
# up after three days.
RETRIES: tuple[float, ...] = (60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 43_200, 57_600, 57_600)
# Milliseconds.
KEYS_KEPT = DAY


class Terms(NamedTuple):
    """What the settings say of how mail goes out."""

    retries: tuple[float, ...] = RETRIES
    concurrency: int = 8
    """Mails of one namespace that are handed over at the same time."""
    captures: bool = False
    """There is no relay: what is due is kept, and has had its end with that."""
