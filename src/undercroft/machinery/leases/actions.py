"""What can be done with leases: one transaction's worth of meaning each, on the time that a `LeaseClock` gives."""

from collections import Counter
from typing import NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.machinery.leases import line_store, store
from undercroft.machinery.leases.book import Book, Page
from undercroft.machinery.leases.key_notes import key_place
from undercroft.machinery.leases.lease_clock import LeaseClock
from undercroft.machinery.leases.model import (
    ALIVE,
    KEYS_KEPT,
    Acquire,
    Answer,
    Fetch,
    GiveBack,
    KeyPlace,
    Lease,
    LeaveLine,
    Noted,
    Order,
    Place,
    Reading,
    Release,
)

GRANTED = "leases granted"
"""The topic on which committed transactions tell which waiters of this node were granted what: `Granted`."""

SUPERSEDED = "lease waiters superseded"
"""And of which waiters another request has taken the place."""

# An order leads to one grant at the most, and puts one ticket in line.
_NUMBERS = 2


class Seat(NamedTuple):
    """What people see of a place: its lease if there is one, how many stand in line, and the time."""

    place: Place
    lease: Lease | None
    in_line: int
    time: Reading


class Desk:
    """`node`: unlike any other, and other again in each run of the program."""

    def __init__(self, clock: LeaseClock, node: str) -> None:
        self._clock = clock
        self.node = node

    def decide(self, tx: Transaction, orders: list[Order]) -> list[Answer | Refusal]:
        """A batch: each order's answer. All of a database's batches happen one after the other."""
        time = self._clock.reserve(tx, _NUMBERS * len(orders))
        book = Book(time, _page(tx, orders, time.now), self.node)
        answers = [book.decide(order) for order in orders]
        _write(tx, book, time.now)
        return answers

    def force(self, tx: Transaction, place: Place) -> Answer:
        """Take it from whoever holds it, guarded or not; the first in line gets it."""
        self._clock.reserve(tx, 0)  # from here on nobody else changes it
        lease = store.leases_at(tx, [place]).get(place)
        [answer] = self.decide(tx, [Release(place, None if lease is None else lease.token)])
        assert isinstance(answer, Answer), "with its own token nothing is refused"
        return answer if lease is None else answer._replace(owner=lease.owner)

    def look(self, tx: Transaction, place: Place) -> Seat:
        time = self._clock.read(tx)
        return Seat(place, store.leases_at(tx, [place]).get(place), line_store.in_line(tx, place, time.now), time)

    def held(
        self, tx: Transaction, family: str, namespace: str, prefix: str, after: str, most: int
    ) -> tuple[list[Seat], str | None]:
        """What is held, by name: names behind `after` that begin with `prefix`; and where to go on, None at the end.

        They may be fewer than `most` although more follow.
        """
        time = self._clock.read(tx)
        found, following = store.held_in(tx, family, namespace, prefix, after, time.now, most)
        return [Seat(place, lease, waiting, time) for place, lease, waiting in found], following

    def keep_alive(self, tx: Transaction) -> None:
        """Everybody who stands in line here still does."""
        now = self._clock.reserve(tx, 0).now
        line_store.keep_alive(tx, self.node, now, now + ALIVE)

    def over_and_awaited(self, tx: Transaction, most: int) -> list[Place]:
        return store.over_and_awaited(tx, self._clock.read(tx).now, most)

    def forget_old(self, tx: Transaction, most: int) -> int:
        """Leases that are over, tickets of the dead, keys after their time; how many rows."""
        now = self._clock.reserve(tx, 0).now
        return (
            store.forget_over(tx, now, most)
            + line_store.forget_tickets(tx, now, most)
            + line_store.forget_keys(tx, now, most)
        )


def _page(tx: Transaction, orders: list[Order], now: int) -> Page:
    about = Counter(order.place for order in orders)
    leases = store.leases_at(tx, about)
    lines = {
        place: line_store.line(tx, place, now, about[place] + 1) for place, lease in leases.items() if lease.awaited
    }
    asked = {
        key_place(order.place, order.key)
        for order in orders
        if isinstance(order, Acquire | LeaveLine | GiveBack) and order.key
    }
    asked |= {key_place(ticket.place, ticket.key) for line in lines.values() for ticket in line if ticket.key}
    waiters = {order.waiter for order in orders if isinstance(order, LeaveLine | Fetch)}
    waiters |= {order.waiter for order in orders if isinstance(order, Acquire) and order.wait and order.place in leases}
    keys: dict[KeyPlace, Noted] = {}
    if asked:
        keys = line_store.noted(tx, asked)
        waiters |= {noted.waiter for noted in keys.values() if noted.obtained is None}
    tickets = line_store.tickets_of(tx, waiters) if waiters else {}
    unknown = {key_place(ticket.place, ticket.key) for ticket in tickets.values() if ticket.key} - keys.keys()
    if unknown:
        keys |= line_store.noted(tx, unknown)
    return Page(leases, lines, tickets, keys)


def _write(tx: Transaction, book: Book, now: int) -> None:
    if book.dropped:
        store.drop_leases(tx, book.dropped)
    if book.put:
        store.put_leases(tx, book.put)
    if book.left:
        line_store.drop_tickets(tx, book.left)
    if book.joined or book.changed:
        line_store.put_tickets(tx, [*book.joined.values(), *book.changed.values()])
    if book.keys.changed:
        line_store.note(tx, book.keys.changed, now + KEYS_KEPT)
    tx.tell(GRANTED, list(book.granted.values()))
    tx.tell(SUPERSEDED, book.superseded)
