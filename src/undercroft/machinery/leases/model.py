"""Leases as records, what may be asked of them, and lease time. Pure: data in, decision out.

A lease is a named possession, timed and fenced. Its time is *lease time*, milliseconds that pass evenly: a clock that
is set neither ends a lease early nor lets it last longer. See `lease_clock.py`.
"""

from typing import NamedTuple

from undercroft.base.clock import DAY, SECOND

# A waiter that nobody vouches for is passed over after this (ms): its node counts it up while it lives.
ALIVE = 10 * SECOND
# For so long a lock that came free is kept for the first in line on another node, which has to fetch it (ms).
FETCHED_WITHIN = 5 * SECOND
# What was answered to an idempotency key is kept for this long (ms).
KEYS_KEPT = DAY
# Numbers that a millisecond has to itself: more than are handed out in one, so that a moment's first is above all that
# came before. In 2026 a number has 16 digits, and until 2248 a double holds it.
NUMBERS_A_MS = 1_024
# A clock that moves by more than this against the time that really passed was set (ms).
STEP = 250


def first_number(clock: int) -> int:
    """The lowest number that is handed out at this moment (ms since 1970)."""
    return clock * NUMBERS_A_MS


class Place(NamedTuple):
    """What a lease is on. Equal names of different families or namespaces never meet."""

    family: str
    namespace: str
    name: str


KeyPlace = tuple[str, str, str]
"""Family, namespace, idempotency key."""


class Span(NamedTuple):
    """How long: `ttl` from the grant on (ms), or up to the moment `ends_at` of the wall clock (ms). Neither: no end."""

    ttl: int | None = None
    ends_at: int | None = None


class Lease(NamedTuple):
    """One that was granted; it may be over. Moments are lease time."""

    fence: int
    token: str
    owner: str | None
    granted_at: int
    expires_at: int | None
    delay: int
    guarded: int
    awaited: int

    def is_held(self, now: int) -> bool:
        """Up to, and not at, the moment of its end."""
        return self.expires_at is None or now < self.expires_at

    def free_at(self) -> int | None:
        """From when on another may have it, unless it is renewed or released."""
        return None if self.expires_at is None else self.expires_at + self.delay

    def is_free(self, now: int) -> bool:
        return self.expires_at is not None and now >= self.expires_at + self.delay


class Ticket(NamedTuple):
    """A place in line. `number`: the order in which they came; the others as in the table."""

    number: int
    place: Place
    waiter: str
    node: str
    token: str
    owner: str | None
    span: Span
    delay: int
    guarded: int
    until: int
    alive_until: int
    key: str | None
    granted: int | None


class Noted(NamedTuple):
    """What was answered to an idempotency key. `obtained`: 1, 0, or None while it waits."""

    content: str
    waiter: str
    obtained: int | None
    fence: int


# What may be asked. Of all that wait to be decided at the same moment, each sees what those before it have done.


class Acquire(NamedTuple):
    """`token`: the new grant's, made by who asks. `own`: of a grant that may still stand, and is then renewed.

    `wait`: stand in line for so long (ms). `waiter`: this request, unlike any other. `content`: what the same `key`
    must come with again.
    """

    place: Place
    span: Span
    token: str
    own: str | None = None
    owner: str | None = None
    delay: int = 0
    guarded: int = 0
    wait: int = 0
    waiter: str = ""
    key: str | None = None
    content: str = ""


class Release(NamedTuple):
    """`token` None: whoever holds it."""

    place: Place
    token: str | None = None


class Renew(NamedTuple):
    place: Place
    token: str
    span: Span


class LeaveLine(NamedTuple):
    """The waiter goes: its time is up, or (`unheard`) nobody would hear its answer."""

    place: Place
    waiter: str
    key: str | None = None
    unheard: bool = False


class Fetch(NamedTuple):
    """The waiter takes what another node has put down for it."""

    place: Place
    waiter: str


class GiveBack(NamedTuple):
    """What was granted to a waiter that nobody could be told of."""

    place: Place
    token: str
    waiter: str
    key: str | None = None


class PassOn(NamedTuple):
    """If it has come free by the passing of time: to the first in line."""

    place: Place


Order = Acquire | Release | Renew | LeaveLine | Fetch | GiveBack | PassOn


class Answer(NamedTuple):
    """What became of an order. Moments are those of the wall clock; `left` is in ms from the decision on.

    `yes`: it is yours (Acquire, Renew, Fetch), it was removed (Release, GiveBack). `waits`: it stands in line, and
    what is held comes free after `left` unless something happens. A refusal tells of who holds it.
    """

    yes: bool
    fence: int = 0
    token: str = ""
    owner: str | None = None
    expires_at: int | None = None
    left: int | None = None
    free_at: int | None = None
    waits: bool = False


class Reading(NamedTuple):
    """One look at the time. `now` is lease time, `wall` the same moment on the database's clock.

    Not what that clock said: lease time may have gone on while this transaction waited for its turn.
    """

    now: int
    wall: int
    first_number: int = 0
    """The first of the numbers that are reserved for fences and tickets."""

    def shown(self, moment: int | None) -> int | None:
        """A moment of lease time as one of the wall clock."""
        return None if moment is None else moment - self.now + self.wall

    def end_of(self, span: Span) -> int | None:
        """The lease time at which it ends if it begins now."""
        if span.ttl is not None:
            return self.now + span.ttl
        return None if span.ends_at is None else self.now + span.ends_at - self.wall


class Seen(NamedTuple):
    """Two clocks read at the same moment (ms): one that people may set, and one that counts since the machine's boot.

    `slack`: how far apart the two looks may have been.
    """

    clock: int
    boot: int
    slack: int


def step_between(before: Seen, after: Seen) -> int:
    """By how much the clock was set between two looks (ms); 0 where it only ran."""
    jump = (after.clock - before.clock) - (after.boot - before.boot)
    return jump if abs(jump) > STEP + before.slack + after.slack else 0
