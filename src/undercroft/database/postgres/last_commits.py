"""Whether a transaction became durable whose COMMIT nobody has answered.

Each leaves an entry in the table `last_commits`, with what else it writes. A call whose connection was lost at its
COMMIT begins once more by putting the same entry in: where it is there already, that was the commit, and the call does
not run again. An earlier try that still goes on holds the entry's row, and is waited for.

Not by the number that PostgreSQL gives a transaction and can be asked about later: a server that has crashed hands
numbers out again that no disk has seen, and speaks of another one's transaction.
"""

import itertools
from typing import Any, NamedTuple

import psycopg

from undercroft.base.ids import new_hex_secret
from undercroft.database.calls import Call
from undercroft.database.interface import Row
from undercroft.database.postgres.transaction import PostgresTransaction

_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ"
"""Each statement of an ordinary transaction sees what was committed before it; these all see the same."""
# Both values are ours: hexadecimal digits, and a number. In one go with BEGIN, which a turn more would make dearer.
_BEGIN = (
    "BEGIN; INSERT INTO last_commits (slot, number, at) VALUES ('%s', %d, now()) ON CONFLICT (slot) DO UPDATE"
    " SET number = excluded.number, at = excluded.at WHERE last_commits.number < excluded.number"
)
FORGET_OLD = "DELETE FROM last_commits WHERE at < now() - interval '1 day'"
"""Slots of those who run no more."""


class Entry(NamedTuple):
    slot: str
    number: int
    """Those of a slot grow."""


class Slots:
    """A slot is one call's at a time, and a row: so there are as many rows as calls that ran at once."""

    def __init__(self) -> None:
        self._free: list[str] = []
        self._numbers = itertools.count(1)

    def take(self) -> Entry:
        try:
            slot = self._free.pop()
        except IndexError:
            slot = new_hex_secret()
        return Entry(slot, next(self._numbers))

    def give_back(self, entry: Entry) -> None:
        """Only of a transaction that has ended: while another holds the row, nobody else can use it."""
        self._free.append(entry.slot)


Done = tuple[Any, list[tuple[str, list[Any]]]]
"""What an action gave, and what it told."""


class Tries:
    """Of one call: as many as it takes to make it durable, and of one that is to run once not one more."""

    def __init__(self, call: Call, slots: Slots) -> None:
        self._call = call
        self._slots = slots
        self._entry: Entry | None = None
        self._done: Done | None = None

    def run(self, connection: psycopg.Connection[Row]) -> Done:
        """In a transaction, which the caller commits, or rolls back where this raises."""
        if self._done is None and self._call.once:  # an earlier try, if there was one, did not come to its COMMIT
            self._entry = self._slots.take()
        tx = PostgresTransaction(connection)
        if self._begin(tx):
            self._done = None
            try:
                self._done = self._call.action(tx, *self._call.args, **self._call.kwargs), tx.told
            except BaseException:
                if not connection.broken:
                    self.end()
                raise
        assert self._done is not None, "its entry is there only if it has run"
        return self._done

    def _begin(self, tx: PostgresTransaction) -> bool:
        """False where it was committed before, by its entry."""
        if self._entry is not None:
            return tx.begin(_BEGIN % self._entry) == 1
        tx.begin(_BEGIN_READING if self._call.reads else "BEGIN")
        return True

    def end(self) -> None:
        """The last transaction has ended, or ends with what its action raised."""
        if self._entry is not None:
            self._slots.give_back(self._entry)
            self._entry = None
