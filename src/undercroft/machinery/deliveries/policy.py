"""What follows from an attempt's outcome. Pure: data in, decision out.

DONE                delivered
GONE                dead at once, and the target paused
HOPELESS            dead at once
AGAIN               due again after the schedule's next pause, or a longer one that the other side asked for
schedule used up    dead
"""

import math
from typing import NamedTuple

from undercroft.base.clock import HOUR, MINUTE, SECOND
from undercroft.machinery.deliveries.model import Outcome, Result, State

# The pauses between attempts in seconds, where a target or a delivery has none of its own. Standard Webhooks asks for
# a schedule over several days; this one gives up after about 36 hours.
DEFAULT_RETRIES: tuple[float, ...] = (5, 30, 120, 600, 3_600, 10_800, 28_800, 86_400)
# A pause is stretched by up to this share, so that what failed together does not come back together.
JITTER = 0.1
LONGEST_RETRY_AFTER = 24 * HOUR


class Verdict(NamedTuple):
    state: State
    due_at: int
    reason: str | None
    pause_target: bool = False


def judge(
    outcome: Outcome, attempts: int, now: int, retries: tuple[float, ...] = DEFAULT_RETRIES, *, stretch: float = 0.0
) -> Verdict:
    """`attempts` counts this one; `stretch`, 0 to 1, is how much of the jitter a pause gets.

    A pause is never shorter than the schedule says.
    """
    if outcome.result is Result.DONE:
        return Verdict(State.DELIVERED, now, None)
    reason = outcome.error or f"answered {outcome.status}"
    if outcome.result is Result.GONE:
        return Verdict(State.DEAD, now, reason, pause_target=True)
    if outcome.result is Result.HOPELESS:
        return Verdict(State.DEAD, now, reason)
    if attempts > len(retries):
        return Verdict(State.DEAD, now, f"{reason}; {_used_up(attempts)}")
    return Verdict(State.SCHEDULED, now + _pause(outcome.retry_after, retries[attempts - 1], stretch), reason)


def _used_up(attempts: int) -> str:
    return "its only attempt is used up" if attempts == 1 else f"all {attempts} attempts are used up"


def _pause(retry_after: int | None, seconds: float, stretch: float) -> int:
    pause = math.ceil(seconds * SECOND * (1 + JITTER * stretch))
    return pause if retry_after is None else max(pause, min(retry_after * SECOND, LONGEST_RETRY_AFTER))


def lease(timeout_seconds: float) -> int:
    """How long a claim lasts (ms): the wait for a free line, the call itself, and the writing down."""
    return int(2 * timeout_seconds * SECOND) + MINUTE // 2
