"""What follows from an attempt's outcome. Pure: data in, decision out.

2xx                 delivered
410                 dead at once, and the target paused
anything else       due again after the schedule's next pause, with jitter; 429 and 503 honour Retry-After
schedule used up    dead
"""

import math
import random
from typing import NamedTuple

from undercroft.base.clock import HOUR, MINUTE, SECOND
from undercroft.machinery.deliveries.model import Outcome, State

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


def judge(outcome: Outcome, attempts: int, now: int, retries: tuple[float, ...] = DEFAULT_RETRIES) -> Verdict:
    """`attempts` counts this one. A pause is never shorter than the schedule says."""
    if outcome.status is not None and 200 <= outcome.status < 300:
        return Verdict(State.DELIVERED, now, None)
    reason = describe(outcome)
    if outcome.status == 410:
        return Verdict(State.DEAD, now, f"{reason}: the receiver says that it is gone", pause_target=True)
    if outcome.hopeless:
        return Verdict(State.DEAD, now, reason)
    if attempts > len(retries):
        return Verdict(State.DEAD, now, f"{reason}; {attempts} attempts used up")
    return Verdict(State.SCHEDULED, now + _pause(outcome, retries[attempts - 1]), reason)


def describe(outcome: Outcome) -> str:
    """One line for people: what went wrong."""
    return outcome.error or f"answered {outcome.status}"


def _pause(outcome: Outcome, seconds: float) -> int:
    pause = math.ceil(seconds * SECOND * (1 + random.uniform(0, JITTER)))
    if outcome.status in (429, 503) and outcome.retry_after is not None:
        pause = max(pause, min(outcome.retry_after * SECOND, LONGEST_RETRY_AFTER))
    return pause


def lease(timeout_seconds: float) -> int:
    """How long a claim lasts (ms): the wait for a free line, the call itself, and the writing down."""
    return int(2 * timeout_seconds * SECOND) + MINUTE // 2
