"""What a delivery is, and the rules that need nothing but its own values."""

from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from undercroft.base.clock import DAY, HOUR


class State(IntEnum):
    """The numbers stand in the database; the first four are pending."""

    FILED = 0
    """Due on a later day: indexed by that day only, and filed precisely shortly before it begins."""
    SCHEDULED = 1
    SENDING = 2
    """Claimed by a node until `due_at`, the end of its lease."""
    HELD = 3
    """Due, but its target or queue is paused, or its target has more than enough waiting."""
    DELIVERED = 4
    DEAD = 5


PUBLIC_STATES = ("scheduled", "retrying", "sending", "held", "delivered", "dead")
PENDING_LIMIT = State.DELIVERED  # pending is every state below it


class Kind(IntEnum):
    OUTWARD = 0
    """Goes to its target."""
    TICK = 1
    """Is an action of its own family: `Family.due(tx, deliveries, now)` in the claiming transaction."""


class Delivery(NamedTuple):
    """One row, as the courier and the families see it. Times are milliseconds UTC."""

    id: int
    queue: int
    name: str
    target: int
    state: int
    kind: int
    due_at: int
    planned_at: int
    claims: int
    attempts: int
    revision: int
    created_at: int
    body: str
    options: str | None
    idempotency_key: str | None
    parent: int | None
    reason: str | None


class NewDelivery(NamedTuple):
    """What a family asks for. `body` is sent as it is; `options` is the family's own JSON."""

    queue: int
    name: str
    target: int
    planned_at: int
    body: str
    kind: int = Kind.OUTWARD
    options: str | None = None
    idempotency_key: str | None = None
    parent: int | None = None


class TargetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to reach a target. `secret` signs (whsec_…); `old_secret` also signs while it is being rotated."""

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    secret: str | None = None
    old_secret: str | None = None
    timeout: float = 15.0
    retries: tuple[float, ...] | None = None
    shown: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"TargetSettings(url={self.url!r}, …)"


class Target(NamedTuple):
    id: int
    family: str
    namespace: str
    name: str
    transport: str
    settings: TargetSettings
    concurrency: int
    rate: int | None
    paused_at: int | None
    pause_reason: str | None
    removed_at: int | None
    version: int


class Queue(NamedTuple):
    id: int
    family: str
    namespace: str
    name: str
    paused_at: int | None


class Outcome(NamedTuple):
    """What came of one attempt. `status` is None where no answer came; `reply` is its beginning."""

    started_at: int
    took_ms: int
    status: int | None = None
    error: str | None = None
    reply: str | None = None
    retry_after: int | None = None
    """Seconds that the receiver asked for."""
    hopeless: bool = False
    """The transport knows that trying again can't help."""


class NotSent(Exception):
    """This machine could not even try: no attempt was made, and none is counted."""


class Attempt(NamedTuple):
    delivery: int
    number: int
    node: str
    started_at: int
    took_ms: int
    status: int | None
    error: str | None
    reply: str | None


# A row is filed precisely when it is due within this time; beyond it, by its day.
NEAR = 26 * HOUR
# A day's rows are filed precisely this long before the day begins.
FILED_EARLY = HOUR


def filing(planned_at: int, now: int) -> tuple[State, int]:
    """The state and `due_at` of a row that waits for `planned_at`.

    An index by the exact moment costs a page of its own for nearly every insert once a million rows are spread over
    a month; by the day, a thousand rows share it. Only the rows of the next day are worth the exact one.
    """
    if planned_at - now <= NEAR:
        return State.SCHEDULED, planned_at
    return State.FILED, planned_at // DAY * DAY - FILED_EARLY


def public_state(state: int, attempts: int) -> str:
    """The word that APIs show."""
    match State(state):
        case State.FILED:
            return "scheduled"
        case State.SCHEDULED:
            return "retrying" if attempts else "scheduled"
        case other:
            return other.name.lower()
