"""The SQL of leases and of lease time; who stands in line for them is in `line_store.py`."""

from collections.abc import Collection
from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Transaction
from undercroft.machinery.leases.model import Lease, Place, first_number

# Leases that one page looks at for a prefix that few of them have.
LOOKED_AT = 5_000

_LEASE = "fence, token, owner, granted_at, expires_at, delay, guarded, awaited"
_PLACE_COLUMNS = "family TEXT, namespace TEXT, name TEXT"
_LEASE_COLUMNS = (
    f"{_PLACE_COLUMNS}, fence BIGINT, token TEXT, owner TEXT, granted_at BIGINT, expires_at BIGINT, delay BIGINT,"
    " guarded BIGINT, awaited BIGINT"
)


class State(NamedTuple):
    """The one row of `lease_state`."""

    fence: int
    at: int
    shift: int
    steps: int


# Time and numbers


def advance(tx: Transaction, numbers: int, clock: int) -> State:
    """Reserve so many numbers, the last of which is `fence`; others wait here until this transaction has ended.

    None is below the moment's own first: so they grow even over a backup that does not know the latest ones.
    """
    row = tx.one(
        """
        UPDATE lease_state
        SET fence = CASE WHEN :first > fence THEN :first ELSE fence END + :numbers,
            at = CASE WHEN :clock + shift > at THEN :clock + shift ELSE at END
        WHERE id = 1
        RETURNING fence, at, shift, steps
        """,
        first=first_number(clock),
        numbers=numbers,
        clock=clock,
    )
    if row is None:
        raise _no_state()
    return State._make(row)


def state(tx: Transaction) -> State:
    row = tx.one("SELECT fence, at, shift, steps FROM lease_state WHERE id = 1")
    if row is None:
        raise _no_state()
    return State._make(row)


def shift(tx: Transaction, shift: int, now: int, steps: int) -> None:
    tx.run(
        "UPDATE lease_state SET shift = :shift, at = :now, steps = :steps WHERE id = 1",
        shift=shift,
        now=now,
        steps=steps,
    )


def database_clock(tx: Transaction) -> int:
    """PostgreSQL's clock, in milliseconds since 1970."""
    row = tx.one("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")
    assert row is not None, "a SELECT without FROM gives a row"
    return int(row[0])


def _no_state() -> Refusal:
    return Refusal(Kind.INTERNAL, "internal", "the row of lease_state is gone: restore the database from a backup")


# What a batch is about


def leases_at(tx: Transaction, places: Collection[Place]) -> dict[Place, Lease]:
    rows = tx.each(
        f"""
        SELECT l.family, l.namespace, l.name, {_LEASE}
        FROM {{rows}} JOIN leases l ON l.family = r.family AND l.namespace = r.namespace AND l.name = r.name
        """,
        _PLACE_COLUMNS,
        list(places),
    )
    return {Place(*row[:3]): Lease(*row[3:]) for row in rows}


# What a batch has decided


def put_leases(tx: Transaction, leases: dict[Place, Lease]) -> None:
    tx.each(
        f"""
        INSERT INTO leases (family, namespace, name, {_LEASE})
        SELECT r.family, r.namespace, r.name, r.fence, r.token, r.owner, r.granted_at, r.expires_at, r.delay,
            r.guarded, r.awaited
        FROM {{rows}} WHERE true
        ON CONFLICT (family, namespace, name) DO UPDATE
        SET fence = excluded.fence, token = excluded.token, owner = excluded.owner, granted_at = excluded.granted_at,
            expires_at = excluded.expires_at, delay = excluded.delay, guarded = excluded.guarded,
            awaited = excluded.awaited
        """,
        _LEASE_COLUMNS,
        [(*place, *lease) for place, lease in leases.items()],
    )


def drop_leases(tx: Transaction, places: Collection[Place]) -> None:
    tx.each(
        """
        DELETE FROM leases
        WHERE (family, namespace, name) IN (SELECT r.family, r.namespace, r.name FROM {rows})
        """,
        _PLACE_COLUMNS,
        list(places),
    )


# For people, and for loops


def held_in(
    tx: Transaction, family: str, namespace: str, prefix: str, after: str, now: int, most: int
) -> tuple[list[tuple[Place, Lease, int]], str | None]:
    """What is held, by name, with how many stand in line; and the name to go on after, None at the end.

    Names are in the database's own order, where those with a prefix need not be neighbours: so many are looked at.
    """
    among = "FROM leases WHERE family = :family AND namespace = :namespace AND name > :after ORDER BY name"
    where = {"family": family, "namespace": namespace, "after": after}
    rows = tx.all(
        f"""
        SELECT family, namespace, name, {_LEASE},
            (SELECT COUNT(*) FROM lease_tickets t WHERE t.family = l.family AND t.namespace = l.namespace
             AND t.name = l.name AND t.until > :now AND t.alive_until > :now AND t.granted IS NULL)
        FROM (SELECT family, namespace, name, {_LEASE} {among} LIMIT :looked_at) AS l
        WHERE substr(name, 1, :length) = :prefix AND (expires_at IS NULL OR expires_at > :now)
        ORDER BY name LIMIT :most
        """,
        **where,
        prefix=prefix,
        length=len(prefix),
        now=now,
        most=most + 1,
        looked_at=LOOKED_AT,
    )
    found = [(Place(*row[:3]), Lease(*row[3:11]), int(row[11])) for row in rows]
    if len(found) > most:
        return found[:most], found[most - 1][0].name
    last = tx.one(f"SELECT name {among} LIMIT 1 OFFSET :skipped", **where, skipped=LOOKED_AT - 1)
    return found, last[0] if last else None


def over_and_awaited(tx: Transaction, now: int, most: int) -> list[Place]:
    """Where somebody stands in line for what came free by the passing of time (lease time, ms)."""
    rows = tx.all(
        """
        SELECT family, namespace, name FROM leases
        WHERE expires_at IS NOT NULL AND expires_at <= :now AND expires_at + delay <= :now AND awaited = 1
        ORDER BY expires_at LIMIT :most
        """,
        now=now,
        most=most,
    )
    return [Place(*row) for row in rows]


def forget_over(tx: Transaction, now: int, most: int) -> int:
    """Leases that are over and that nobody waits for; how many that were."""
    return tx.run(
        """
        DELETE FROM leases WHERE (family, namespace, name) IN (
            SELECT family, namespace, name FROM leases
            WHERE expires_at IS NOT NULL AND expires_at <= :now AND expires_at + delay <= :now AND awaited = 0
            LIMIT :most
        )
        """,
        now=now,
        most=most,
    )
