"""The SQL of who stands in line for leases, and of what was answered to idempotency keys."""

from collections import deque
from collections.abc import Collection
from typing import Any

from undercroft.database import Transaction
from undercroft.machinery.leases.model import KeyPlace, Noted, Place, Span, Ticket

_TICKET = (
    "number, family, namespace, name, waiter, node, token, owner, ttl, ends_at, delay, guarded, until, alive_until,"
    " key, granted"
)
_TICKET_COLUMNS = (
    "number BIGINT, family TEXT, namespace TEXT, name TEXT, waiter TEXT, node TEXT, token TEXT, owner TEXT,"
    " ttl BIGINT, ends_at BIGINT, delay BIGINT, guarded BIGINT, until BIGINT, alive_until BIGINT, key TEXT,"
    " granted BIGINT"
)


def line(tx: Transaction, place: Place, now: int, most: int) -> deque[Ticket]:
    """The first living ones in line."""
    rows = tx.all(
        f"""
        SELECT {_TICKET} FROM lease_tickets
        WHERE family = :family AND namespace = :namespace AND name = :name AND until > :now AND alive_until > :now
        AND granted IS NULL
        ORDER BY number LIMIT :most
        """,
        **place._asdict(),
        now=now,
        most=most,
    )
    return deque(map(_ticket, rows))


def tickets_of(tx: Transaction, waiters: Collection[str]) -> dict[str, Ticket]:
    rows = tx.each(
        f"SELECT {_TICKET} FROM lease_tickets WHERE waiter IN (SELECT r.asked FROM {{rows}})",
        "asked TEXT",
        [(waiter,) for waiter in waiters],
    )
    return {ticket.waiter: ticket for ticket in map(_ticket, rows)}


def noted(tx: Transaction, keys: Collection[KeyPlace]) -> dict[KeyPlace, Noted]:
    rows = tx.each(
        """
        SELECT k.family, k.namespace, k.key, k.content, k.waiter, k.obtained, k.fence
        FROM {rows} JOIN lease_keys k ON k.family = r.family AND k.namespace = r.namespace AND k.key = r.key
        """,
        "family TEXT, namespace TEXT, key TEXT",
        list(keys),
    )
    return {row[:3]: Noted(*row[3:]) for row in rows}


def put_tickets(tx: Transaction, tickets: Collection[Ticket]) -> None:
    tx.each(
        f"""
        INSERT INTO lease_tickets ({_TICKET})
        SELECT r.number, r.family, r.namespace, r.name, r.waiter, r.node, r.token, r.owner, r.ttl, r.ends_at, r.delay,
            r.guarded, r.until, r.alive_until, r.key, r.granted
        FROM {{rows}} WHERE true
        ON CONFLICT (number) DO UPDATE
        SET waiter = excluded.waiter, node = excluded.node, until = excluded.until,
            alive_until = excluded.alive_until, granted = excluded.granted
        """,
        _TICKET_COLUMNS,
        [_row(ticket) for ticket in tickets],
    )


def drop_tickets(tx: Transaction, numbers: Collection[int]) -> None:
    tx.each(
        "DELETE FROM lease_tickets WHERE number IN (SELECT r.number FROM {rows})",
        "number BIGINT",
        [(number,) for number in numbers],
    )


def note(tx: Transaction, answers: dict[KeyPlace, Noted | None], kept_until: int) -> None:
    """None: forgotten."""
    tx.each(
        "DELETE FROM lease_keys WHERE (family, namespace, key) IN (SELECT r.family, r.namespace, r.key FROM {rows})",
        "family TEXT, namespace TEXT, key TEXT",
        [at for at, noted in answers.items() if noted is None],
    )
    tx.each(
        """
        INSERT INTO lease_keys (family, namespace, key, content, waiter, obtained, fence, kept_until)
        SELECT r.family, r.namespace, r.key, r.content, r.waiter, r.obtained, r.fence, :kept_until
        FROM {rows} WHERE true
        ON CONFLICT (family, namespace, key) DO UPDATE
        SET content = excluded.content, waiter = excluded.waiter, obtained = excluded.obtained,
            fence = excluded.fence, kept_until = excluded.kept_until
        """,
        "family TEXT, namespace TEXT, key TEXT, content TEXT, waiter TEXT, obtained BIGINT, fence BIGINT",
        [(*at, *noted) for at, noted in answers.items() if noted is not None],
        kept_until=kept_until,
    )


def in_line(tx: Transaction, place: Place, now: int) -> int:
    """How many stand in line."""
    row = tx.one(
        """
        SELECT COUNT(*) FROM lease_tickets
        WHERE family = :family AND namespace = :namespace AND name = :name AND until > :now AND alive_until > :now
        AND granted IS NULL
        """,
        **place._asdict(),
        now=now,
    )
    return int(row[0]) if row else 0


def put_down_for(tx: Transaction, node: str) -> list[tuple[Place, str]]:
    """What other nodes have put down for waiters of this one, and for whom."""
    rows = tx.all(
        "SELECT family, namespace, name, waiter FROM lease_tickets WHERE node = :node AND granted IS NOT NULL",
        node=node,
    )
    return [(Place(*row[:3]), row[3]) for row in rows]


def keep_alive(tx: Transaction, node: str, now: int, alive_until: int) -> None:
    tx.run(
        "UPDATE lease_tickets SET alive_until = :alive_until WHERE node = :node AND alive_until > :now",
        node=node,
        now=now,
        alive_until=alive_until,
    )


def forget_tickets(tx: Transaction, now: int, most: int) -> int:
    """Of nodes that died while somebody waited there."""
    return tx.run(
        """
        DELETE FROM lease_tickets WHERE number IN (
            SELECT number FROM lease_tickets WHERE until <= :now OR alive_until <= :now LIMIT :most
        )
        """,
        now=now,
        most=most,
    )


def forget_run(tx: Transaction, node: str, run: str) -> int:
    """Tickets of earlier runs of this node. `node`: what the names of its runs begin with."""
    return tx.run(
        "DELETE FROM lease_tickets WHERE substr(node, 1, :length) = :node AND node <> :run",
        length=len(node),
        node=node,
        run=run,
    )


def forget_keys(tx: Transaction, now: int, most: int) -> int:
    return tx.run(
        """
        DELETE FROM lease_keys WHERE (family, namespace, key) IN (
            SELECT family, namespace, key FROM lease_keys WHERE kept_until <= :now LIMIT :most
        )
        """,
        now=now,
        most=most,
    )


def _ticket(row: tuple[Any, ...]) -> Ticket:
    number, family, namespace, name, waiter, node, token, owner, ttl, ends_at, *rest = row
    return Ticket(number, Place(family, namespace, name), waiter, node, token, owner, Span(ttl, ends_at), *rest)


def _row(ticket: Ticket) -> tuple[object, ...]:
    return (
        ticket.number, *ticket.place, ticket.waiter, ticket.node, ticket.token, ticket.owner, *ticket.span,
        ticket.delay, ticket.guarded, ticket.until, ticket.alive_until, ticket.key, ticket.granted,
    )  # fmt: skip
