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


NO_TARGET = 0
"""Of a tick that stands for no call: it goes through no lane."""

# Why a delivery waits or died, where no attempt says so. Families word them for their users.
TARGET_REMOVED = "its target was removed"
TARGET_PAUSED = "its target is paused"
QUEUE_PAUSED = "its queue is paused"
LANE_FULL = "its target has more than enough waiting"


class TargetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What couriers need to know of a target; beside it, what only its transport and only its family read."""

    address: msgspec.Raw = msgspec.Raw(b"{}")
    """The transport's own JSON: where it is and how it is spoken to. It may hold secrets."""
    timeout: float = 15.0
    """Seconds for one attempt."""
    retries: tuple[float, ...] | None = None
    """Seconds between attempts; None for the usual ones."""
    shown: dict[str, Any] = {}
    """The family's own."""

    def __repr__(self) -> str:
        return "TargetSettings(…)"


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


class Result(IntEnum):
    """What an attempt means. The transport says so: it alone knows the other side's language."""

    DONE = 0
    AGAIN = 1
    """Not this time."""
    HOPELESS = 2
    """Trying again can't help."""
    GONE = 3
    """As HOPELESS, and nothing else of this target is to be tried either: it is paused."""


class Outcome(NamedTuple):
    """What came of one attempt. `status` is None where no answer came; `reply` is its beginning."""

    started_at: int
    took_ms: int
    result: Result
    status: int | None = None
    """A number in the transport's own language: for webhooks HTTP's, for mail SMTP's."""
    error: str | None = None
    """One line for people: what went wrong, where the status alone does not say it."""
    reply: str | None = None
    retry_after: int | None = None
    """Seconds that the other side asked for: a pause is not shorter."""


class NotSent(Exception):
    """This machine could not even try: no attempt was made, and none is counted."""


class NoTurn(NotSent):
    """Others were served until its claim came to its end, or it was called off while it waited for its turn."""


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
