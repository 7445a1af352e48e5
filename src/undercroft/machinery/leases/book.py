"""The decisions: who gets what, in the order in which they asked. Pure.

A `Book` is opened on what the tables say about the places that a batch of orders is about. It answers the orders one
after the other and gathers what has to be written; nothing is read or written in between.
"""

import hmac
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from undercroft.base.refusals import Refusal, conflict, invalid
from undercroft.machinery.leases.key_notes import KeyNotes
from undercroft.machinery.leases.model import (
    ALIVE,
    FETCHED_WITHIN,
    Acquire,
    Answer,
    Fetch,
    GiveBack,
    KeyPlace,
    Lease,
    LeaveLine,
    Noted,
    Order,
    PassOn,
    Place,
    Reading,
    Release,
    Renew,
    Span,
    Ticket,
)

_NO = Answer(False)


class Page(NamedTuple):
    """What the tables say. `lines`: the first living ones in line, more than there are orders about the place."""

    leases: dict[Place, Lease]
    lines: dict[Place, deque[Ticket]]
    tickets: dict[str, Ticket]
    """By waiter: of the waiters that orders name."""
    keys: dict[KeyPlace, Noted]


class Granted(NamedTuple):
    ticket: Ticket
    answer: Answer


class Book:
    def __init__(self, reading: Reading, page: Page, node: str) -> None:
        self.leases, self.lines, self.tickets, keys = page
        self.keys = KeyNotes(keys)
        self._time = reading
        self._now = reading.now
        self._next = reading.first_number
        self._node = node
        self.put: dict[Place, Lease] = {}
        self.dropped: set[Place] = set()
        self.joined: dict[int, Ticket] = {}
        self.changed: dict[int, Ticket] = {}
        self.left: set[int] = set()
        self.granted: dict[str, Granted] = {}
        """By waiter: to be told once it is durable."""
        self.superseded: list[str] = []
        """Waiters whose place in line another request has taken, with the same key."""

    def decide(self, order: Order) -> Answer | Refusal:
        return _DECIDE[type(order)](self, order)

    # Asking for it

    def acquire(self, order: Acquire) -> Answer | Refusal:
        place, lease = order.place, self.leases.get(order.place)
        already = self._already(order, lease)
        if already is not None:
            return already
        if order.key is not None:
            replayed = self._replay(order, lease)
            if replayed is not None:
                return replayed
        if self._is_past(order.span):
            return _past()
        if lease is not None and order.own is not None and _same(order.own, lease.token) and lease.is_held(self._now):
            return self.keys.note(order, self._extend(place, lease, order.span))
        if lease is not None and lease.is_free(self._now):
            lease = self._pass_on(place, lease)
        if lease is None:
            return self.keys.note(order, self._grant(order.place, order, awaited=0))
        if order.wait:
            return self._join(order, lease)
        return self.keys.note(order, self._refused(lease))

    def _already(self, order: Acquire, lease: Lease | None) -> Answer | None:
        """What this very order came to before: the answer to a commit was lost on the line, and it is run again."""
        ticket = self.tickets.get(order.waiter) if order.wait else None
        if ticket is not None:
            if ticket.granted is not None:
                return self.fetch(Fetch(order.place, order.waiter))
            return self._refused(lease)._replace(waits=True)
        if lease is not None and _same(order.token, lease.token) and lease.is_held(self._now):
            return self._yours(lease)
        return None

    def renew(self, order: Renew) -> Answer | Refusal:
        lease = self.leases.get(order.place)
        if self._is_past(order.span):
            return _past()
        if lease is None or not lease.is_held(self._now) or not _same(order.token, lease.token):
            return self._refused(lease)
        return self._extend(order.place, lease, order.span)

    def _grant(self, place: Place, asked: Acquire | Ticket, *, awaited: int) -> Answer:
        ends = self._time.end_of(asked.span)
        lease = Lease(
            self._number(), asked.token, asked.owner, self._now, ends, asked.delay, asked.guarded, awaited
        )  # fmt: skip
        self._put(place, lease)
        return self._yours(lease)

    def _extend(self, place: Place, lease: Lease, span: Span) -> Answer:
        lease = lease._replace(expires_at=self._time.end_of(span))
        self._put(place, lease)
        return self._yours(lease)

    # Giving it back

    def release(self, order: Release) -> Answer | Refusal:
        lease = self.leases.get(order.place)
        if lease is None or not lease.is_held(self._now):
            return _NO
        if order.token is None:
            if lease.guarded:
                return conflict("needs_token", "this lock is removed with its token only: send it as X-Lock-Token")
        elif not _same(order.token, lease.token):
            return _NO
        self._pass_on(order.place, lease)
        return Answer(True, lease.fence)

    def give_back(self, order: GiveBack) -> Answer | Refusal:
        if order.key is not None:
            noted = self.keys.of(order.place, order.key)
            if noted is not None and noted.waiter != order.waiter:
                return _NO  # the same key came again, and was told that it is its own
            self.keys.forget(order.place, order.key)
        return self.release(Release(order.place, order.token))

    def pass_on(self, order: PassOn) -> Answer:
        """`left`: when to look again (ms); None where there is nothing to wait for."""
        lease = self.leases.get(order.place)
        if lease is not None and lease.is_free(self._now):
            lease = self._pass_on(order.place, lease)
        return self._refused(lease)

    def _pass_on(self, place: Place, lease: Lease) -> Lease | None:
        """To the first in line who lives; the lease as it is then, None where nobody waits."""
        line = self.lines.get(place)
        while line:
            ticket = line.popleft()
            self._leave(ticket)
            if ticket.granted is None and self._lives(ticket):
                self._hand(place, ticket, awaited=int(bool(line)))
                return self.leases[place]
        del self.leases[place]
        self.put.pop(place, None)
        self.dropped.add(place)
        return None

    def _hand(self, place: Place, ticket: Ticket, *, awaited: int) -> None:
        if ticket.node == self._node:
            answer = self._grant(place, ticket, awaited=awaited)
            self.granted[ticket.waiter] = Granted(ticket, answer)
            self.keys.note_ticket(ticket, obtained=1, fence=answer.fence)
            return
        # Another node's: nobody may be told of it before that node has come for it. Until then it is lent briefly,
        # and if the node is dead it runs out and goes to the next.
        brief = ticket._replace(span=Span(ttl=FETCHED_WITHIN), delay=0)
        answer = self._grant(place, brief, awaited=1)
        self._change(ticket._replace(granted=answer.fence))

    def _lives(self, ticket: Ticket) -> bool:
        return self._now < min(ticket.until, ticket.alive_until) and not self._is_past(ticket.span)

    # Standing in line

    def _join(self, order: Acquire, lease: Lease) -> Answer:
        until = self._now + order.wait
        ticket = Ticket(
            self._number(), order.place, order.waiter, self._node, order.token, order.owner, order.span, order.delay,
            order.guarded, until, self._now + ALIVE, order.key, None,
        )  # fmt: skip
        self.joined[ticket.number] = self.tickets[ticket.waiter] = ticket
        self.lines.setdefault(order.place, deque()).append(ticket)
        if not lease.awaited:
            self._put(order.place, lease._replace(awaited=1))
        self.keys.note_ticket(ticket, obtained=None, fence=0, content=order.content)
        return self._refused(lease)._replace(waits=True)

    def leave_line(self, order: LeaveLine) -> Answer:
        """What was granted to it meanwhile, else a refusal. `waits`: it is not in line any more, and will be told."""
        ticket = self.tickets.get(order.waiter)
        if ticket is None:
            granted = self.granted.get(order.waiter)
            return granted.answer if granted else _NO._replace(waits=True)
        if ticket.granted is not None:
            return self.fetch(Fetch(order.place, order.waiter))
        self._leave(ticket)
        line = self.lines.get(order.place)
        if line and ticket in line:
            line.remove(ticket)
        if order.unheard and order.key is not None:
            self.keys.forget(order.place, order.key)
        else:
            self.keys.note_ticket(ticket, obtained=0, fence=0)
        return self._refused(self.leases.get(order.place))

    def fetch(self, order: Fetch) -> Answer:
        ticket, lease = self.tickets.get(order.waiter), self.leases.get(order.place)
        if ticket is None or ticket.granted is None:
            return _NO._replace(waits=True)
        self._leave(ticket)
        if lease is None or lease.fence != ticket.granted or not lease.is_held(self._now):
            self.keys.note_ticket(ticket, obtained=0, fence=0)
            return self._refused(lease)
        answer = self._extend(order.place, lease._replace(delay=ticket.delay), ticket.span)
        self.keys.note_ticket(ticket, obtained=1, fence=lease.fence)
        return answer

    def _leave(self, ticket: Ticket) -> None:
        self.tickets.pop(ticket.waiter, None)
        self.changed.pop(ticket.number, None)
        if self.joined.pop(ticket.number, None) is None:
            self.left.add(ticket.number)

    def _change(self, ticket: Ticket) -> None:
        self.left.discard(ticket.number)
        self.changed[ticket.number] = self.tickets[ticket.waiter] = ticket

    # The same request again

    def _replay(self, order: Acquire, lease: Lease | None) -> Answer | Refusal | None:
        """What was answered to the key before; None where it is new."""
        noted = self.keys.of(order.place, order.key or "")
        if noted is None:
            return None
        if noted.content != order.content:
            return conflict("key_used", "this Idempotency-Key was sent with another request; make a new one for each")
        if noted.obtained is None:
            return self._take_place(order, noted, lease)
        if not noted.obtained or lease is None or lease.fence != noted.fence or not lease.is_held(self._now):
            return self._refused(lease)  # "yes" about a grant that is over would protect nothing
        self.keys.keep(order.place, order.key or "", noted._replace(waiter=order.waiter))
        return self._yours(lease)

    def _take_place(self, order: Acquire, noted: Noted, lease: Lease | None) -> Answer | None:
        """The earlier request's place in line: its client has hung up, and asks once more."""
        ticket = self.tickets.get(noted.waiter)
        if ticket is None:
            return None
        if lease is None or not self._lives(ticket):
            self._leave(ticket)
            return None
        if ticket.granted is not None:
            return self.fetch(Fetch(order.place, noted.waiter))
        self.superseded.append(noted.waiter)
        taken = ticket._replace(
            waiter=order.waiter, node=self._node, until=self._now + order.wait, alive_until=self._now + ALIVE
        )
        del self.tickets[noted.waiter]
        self._change(taken)
        line = self.lines.get(order.place, deque())
        if ticket in line:
            line[line.index(ticket)] = taken
        if self.joined.pop(ticket.number, None) is not None:
            self.joined[ticket.number] = self.changed.pop(ticket.number)
        self.keys.keep(order.place, order.key or "", noted._replace(waiter=order.waiter))
        return self._refused(lease)._replace(waits=True)

    # Small parts

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _put(self, place: Place, lease: Lease) -> None:
        self.leases[place] = self.put[place] = lease
        self.dropped.discard(place)

    def _is_past(self, span: Span) -> bool:
        return span.ends_at is not None and span.ends_at <= self._time.wall

    def _yours(self, lease: Lease) -> Answer:
        ends = lease.expires_at
        left = None if ends is None else ends - self._now
        return Answer(True, lease.fence, lease.token, lease.owner, self._time.shown(ends), left)

    def _refused(self, lease: Lease | None) -> Answer:
        if lease is None:
            return _NO
        free_at = lease.free_at()
        left = None if free_at is None else max(0, free_at - self._now)
        return Answer(
            False, lease.fence, "", lease.owner, self._time.shown(lease.expires_at), left, self._time.shown(free_at)
        )  # fmt: skip


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def _past() -> Refusal:
    return invalid("past", "expires_at is in the past: such a lock would protect nothing")


_DECIDE: dict[type, Callable[[Book, Any], Answer | Refusal]] = {
    Acquire: Book.acquire,
    Release: Book.release,
    Renew: Book.renew,
    LeaveLine: Book.leave_line,
    Fetch: Book.fetch,
    GiveBack: Book.give_back,
    PassOn: Book.pass_on,
}
