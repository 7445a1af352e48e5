"""The rows of `deliveries`: put in, found, changed, taken out. Lists are in `listing.py`, what couriers do is in
`claims.py`.

Every statement takes many rows at once: a statement costs a turn of the interpreter, a row hardly anything.
"""

from undercroft.base.clock import DAY
from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import PENDING_LIMIT, Attempt, Delivery, NewDelivery, State, filing

DUE = "deliveries due"
"""The topic on which committed transactions tell couriers of (due_at, id, target)."""

COLUMNS = (
    "id, queue, name, target, state, kind, due_at, planned_at, claims, attempts, revision,"
    " created_at, body, options, idempotency_key, parent, reason"
)


_NEW = (
    "queue BIGINT, name TEXT, target BIGINT, state BIGINT, due_at BIGINT, kind BIGINT, planned_at BIGINT, day BIGINT,"
    " created_at BIGINT, body TEXT, options TEXT, idempotency_key TEXT, parent BIGINT"
)


def insert(tx: Transaction, new: list[NewDelivery], now: int) -> dict[tuple[int, str, str | None], int]:
    """Put in those whose name and idempotency key are free in their queue; (queue, name, key) → id of those put in."""
    rows = [
        (queue, name, target, *filing(planned_at, now), kind, planned_at, planned_at // DAY, now, body, *rest)
        for queue, name, target, planned_at, body, kind, *rest in new
    ]
    put_in = tx.put_in("deliveries", _NEW, rows, "id, queue, name, target, state, due_at, idempotency_key")
    scheduled = State.SCHEDULED
    tx.tell(DUE, [(due_at, id, target) for id, _, _, target, state, due_at, _ in put_in if state == scheduled])
    return {(queue, name, key): id for id, queue, name, _, _, _, key in put_in}


def find_one(tx: Transaction, queue: int, name: str) -> Delivery | None:
    row = tx.one(f"SELECT {COLUMNS} FROM deliveries WHERE queue = :queue AND name = :name", queue=queue, name=name)
    return Delivery._make(row) if row else None


def find_named(tx: Transaction, queue: int, names: set[str]) -> list[Delivery]:
    """Those of these names that the queue holds."""
    rows = tx.each(
        f"SELECT {COLUMNS} FROM deliveries WHERE queue = :queue AND name IN (SELECT r.name FROM {{rows}})",
        "name TEXT",
        [(name,) for name in names],
        queue=queue,
    )
    return [Delivery._make(row) for row in rows]


def find_by_key(tx: Transaction, queue: int, idempotency_key: str) -> Delivery | None:
    row = tx.one(
        f"SELECT {COLUMNS} FROM deliveries WHERE queue = :queue AND idempotency_key = :key",
        queue=queue,
        key=idempotency_key,
    )
    return Delivery._make(row) if row else None


def give_key(tx: Transaction, id: int, idempotency_key: str) -> None:
    """To a row that has none."""
    tx.run(
        "UPDATE deliveries SET idempotency_key = :key WHERE id = :id AND idempotency_key IS NULL",
        id=id,
        key=idempotency_key,
    )


def replace(tx: Transaction, delivery: Delivery, new: NewDelivery, now: int) -> bool:
    """Give the row a new life with new content. False when a courier has it in its hands just now."""
    state, due_at = filing(new.planned_at, now)
    changed = tx.run(
        """
        UPDATE deliveries
        SET target = :target, state = :state, kind = :kind, due_at = :due_at, planned_at = :planned_at, day = :day,
            attempts = 0, revision = revision + 1, body = :body, options = :options, reason = NULL,
            idempotency_key = COALESCE(:key, idempotency_key)
        WHERE id = :id AND state <> 2 AND claims = :claims AND revision = :revision
        """,
        id=delivery.id,
        claims=delivery.claims,
        revision=delivery.revision,
        target=new.target,
        state=state,
        kind=new.kind,
        due_at=due_at,
        planned_at=new.planned_at,
        day=new.planned_at // DAY,
        body=new.body,
        options=new.options,
        key=new.idempotency_key,
    )
    if changed and state == State.SCHEDULED:
        tx.tell(DUE, [(due_at, delivery.id, new.target)])
    return bool(changed)


Seen = tuple[int, int, int]
"""(id, revision, state) of a row when it was chosen: the row is left alone if it began another life since."""


def seen(delivery: Delivery) -> Seen:
    return delivery.id, delivery.revision, delivery.state


def delete(tx: Transaction, chosen: list[Seen]) -> set[int]:
    """Take these out, with their attempts; the ids taken. What a courier has in its hands stays."""
    expected = {id: (revision, state < PENDING_LIMIT) for id, revision, state in chosen}
    now_there = tx.each(
        "SELECT id, revision, state FROM deliveries WHERE id IN (SELECT id FROM {rows}) {skip_locked}",
        "id BIGINT",
        [(id,) for id in expected],
    )
    gone = [
        id
        for id, revision, state in now_there
        if state != State.SENDING and expected[id] == (revision, state < PENDING_LIMIT)
    ]
    _delete_rows(tx, gone)
    return set(gone)


def move(tx: Transaction, moved: list[tuple[Seen, int]], now: int) -> set[int]:
    """(row, new planned_at) each; the ids moved. A new revision, so that receivers don't take it for a repeat."""
    rows = [(*row, planned_at, planned_at // DAY, *filing(planned_at, now)) for row, planned_at in moved]
    changed = tx.each(
        """
        UPDATE deliveries
        SET planned_at = r.planned_at, day = r.day, state = r.state, due_at = r.due_at,
            attempts = 0, revision = deliveries.revision + 1, reason = NULL
        FROM {rows}
        WHERE deliveries.id = r.id AND deliveries.state <> 2
          AND deliveries.revision = r.revision AND (deliveries.state < 4) = (r.was < 4)
        RETURNING deliveries.id, deliveries.due_at, deliveries.target, deliveries.state
        """,
        "id BIGINT, revision BIGINT, was BIGINT, planned_at BIGINT, day BIGINT, state BIGINT, due_at BIGINT",
        rows,
    )
    tx.tell(DUE, [(due_at, id, target) for id, due_at, target, state in changed if state == State.SCHEDULED])
    return {id for id, _, _, _ in changed}


def reschedule(tx: Transaction, ticks: list[tuple[int, int, int]], now: int) -> None:
    """(id, claims, next planned_at) each: a claimed tick goes back to wait for its next moment."""
    rows = [(id, claims, planned_at, planned_at // DAY, *filing(planned_at, now)) for id, claims, planned_at in ticks]
    changed = tx.each(
        """
        UPDATE deliveries
        SET planned_at = r.planned_at, day = r.day, state = r.state, due_at = r.due_at
        FROM {rows}
        WHERE deliveries.id = r.id AND +deliveries.state = 2 AND deliveries.claims = r.claims
        RETURNING deliveries.due_at, deliveries.id, deliveries.target, deliveries.state
        """,
        "id BIGINT, claims BIGINT, planned_at BIGINT, day BIGINT, state BIGINT, due_at BIGINT",
        rows,
    )
    tx.tell(DUE, [row[:3] for row in changed if row[3] == State.SCHEDULED])


def postpone(tx: Transaction, retries: list[tuple[int, int]]) -> None:
    """(id, due_at) each: what waits for its next attempt waits until then, at the least."""
    changed = tx.each(
        "UPDATE deliveries SET due_at = r.due_at FROM {rows}"
        " WHERE deliveries.id = r.id AND +deliveries.state = 1 AND deliveries.due_at < r.due_at"
        " RETURNING deliveries.due_at, deliveries.id, deliveries.target",
        "id BIGINT, due_at BIGINT",
        retries,
    )
    tx.tell(DUE, changed)


def find_dead(tx: Transaction, id: int) -> Delivery | None:
    row = tx.one(f"SELECT {COLUMNS} FROM deliveries WHERE id = :id AND +state = 5 {{skip_locked}}", id=id)
    return Delivery._make(row) if row else None


def replay(tx: Transaction, ids: list[int], now: int) -> int:
    """Dead ones begin a new life, due now; how many."""
    rows = tx.each(
        """
        UPDATE deliveries SET state = 1, due_at = :now, attempts = 0, reason = NULL
        WHERE +state = 5 AND id IN (SELECT id FROM {rows})
        RETURNING id, target
        """,
        "id BIGINT",
        [(id,) for id in ids],
        now=now,
    )
    tx.tell(DUE, [(now, id, target) for id, target in rows])
    return len(rows)


def attempts_of(tx: Transaction, delivery: int, after: tuple[int, int], limit: int) -> list[Attempt]:
    """The attempts of a delivery and of what it spawned, oldest first, past (delivery id, number)."""
    rows = tx.all(
        """
        SELECT delivery, number, node, started_at, took_ms, status, error, reply FROM attempts
        WHERE (delivery, number) > (:delivery, :number)
          AND (delivery = :root OR delivery IN (SELECT id FROM deliveries WHERE parent = :root))
        ORDER BY delivery, number LIMIT :limit
        """,
        root=delivery,
        delivery=after[0],
        number=after[1],
        limit=limit,
    )
    return [Attempt._make(row) for row in rows]


def last_attempt(tx: Transaction, delivery: int) -> Attempt | None:
    row = tx.one(
        "SELECT delivery, number, node, started_at, took_ms, status, error, reply FROM attempts"
        " WHERE delivery = :delivery ORDER BY number DESC LIMIT 1",
        delivery=delivery,
    )
    return Attempt._make(row) if row else None


def purge(tx: Transaction, state: State, before: int, limit: int) -> int:
    """Forget up to `limit` finished rows that were settled before this moment; how many."""
    rows = tx.all(
        "SELECT id FROM deliveries WHERE state = :state AND due_at < :before"
        " ORDER BY due_at LIMIT :limit {skip_locked}",
        state=int(state),
        before=before,
        limit=limit,
    )
    _delete_rows(tx, [id for (id,) in rows])
    return len(rows)


def _delete_rows(tx: Transaction, ids: list[int]) -> None:
    rows = [(id,) for id in ids]
    tx.each("DELETE FROM deliveries WHERE id IN (SELECT id FROM {rows})", "id BIGINT", rows)
    tx.each("DELETE FROM attempts WHERE delivery IN (SELECT id FROM {rows})", "id BIGINT", rows)
