"""Reads across all families, for people: what is due next, on its way, failed, paused.

Each looks at a bounded number of rows, however many are stored: it walks an index from one end and stops. A caller who
may see a part only gets what lies in it among the first rows of the whole, and then queue by queue.
"""

from typing import Any, NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Attempt, State

Row = tuple[Any, ...]

# The rows and queues that are looked at for a caller who may see a part only, and of a day whose rows have no order.
# No more than that, and everything ordered as its index is: PostgreSQL without statistics would read and sort all.
LOOKED_AT = 1_000
QUEUES_LOOKED_AT = 100
MOST_COUNTED = 1_000

Places = tuple[tuple[str | None, str | None], ...]
"""What a caller may see, as (family, namespace), where None is any. None instead of all this is everything."""


class Seen(NamedTuple):
    """A delivery as it is shown. `target` is a name, None where it is gone; `reason` why the last attempt failed."""

    id: int
    name: str
    state: int
    kind: int
    due_at: int
    planned_at: int
    attempts: int
    family: str
    namespace: str
    queue: str
    target: str | None
    reason: str | None


class Sight(NamedTuple):
    """The first rows of a list; whether there are more; whether these are certain to be the first."""

    rows: list[Seen]
    more: bool
    exact: bool = True


class Paused(NamedTuple):
    """A target or a queue that is held back, and how many deliveries wait there, up to MOST_COUNTED."""

    id: int
    family: str
    namespace: str
    name: str
    paused_at: int
    reason: str | None
    waiting: int


class Closely(NamedTuple):
    """A single delivery. `body` is its beginning, `size` the characters of all of it; attempts newest first."""

    seen: Seen
    created_at: int
    body: str
    size: int
    options: str | None
    attempts: list[Attempt]


# As the partial index `deliveries_retrying` has it.
_RETRYING = "state = 1 AND attempts > 0"
_SEEN = """
    SELECT d.id, d.name, d.state, d.kind, d.due_at, d.planned_at, d.attempts, q.family, q.namespace, q.name, t.name,
           d.reason
    FROM deliveries d JOIN queues q ON q.id = d.queue LEFT JOIN targets t ON t.id = d.target
"""


def first(tx: Transaction, state: State, places: Places | None, limit: int) -> Sight:
    """Those in this state, soonest first."""
    return _first(tx, f"state = {int(state)}", "", places, limit)


def newest(tx: Transaction, state: State, places: Places | None, limit: int) -> Sight:
    """Those in this state, the last to come to it first."""
    return _first(tx, f"state = {int(state)}", "DESC", places, limit)


def retrying(tx: Transaction, places: Places | None, limit: int) -> Sight:
    """Those that failed and will be tried again, soonest first. Of a part: among the first LOOKED_AT of them."""
    found = _walk(tx, _RETRYING, "", places, limit + 1)
    return Sight(_fetch(tx, found[:limit]), len(found) > limit)


def filed(tx: Transaction, places: Places | None, limit: int) -> Sight:
    """Those of later days, soonest first. The rows of a day are in no order, so that a full day's first are a guess."""
    found, exact = _gather(tx, "state = 0", "", places, LOOKED_AT)
    by_moment = sorted(found, key=lambda row: (row[2], row[0]))[:limit]
    if len(found) >= LOOKED_AT:
        last_day = found[-1][1]
        exact = exact and all(row[1] < last_day for row in by_moment)
    return Sight(_fetch(tx, by_moment), len(found) > limit, exact)


def count(tx: Transaction, state: State) -> int:
    """How many are in this state, up to MOST_COUNTED."""
    return _count(tx, f"state = {int(state)}", "due_at")


def count_retrying(tx: Transaction) -> int:
    return _count(tx, _RETRYING, "due_at")


def paused_targets(tx: Transaction, places: Places | None, limit: int) -> list[Paused]:
    """Targets that are paused and not removed, the last to be paused first."""
    rows = _paused(tx, "targets", "pause_reason", "removed_at IS NULL", places, limit)
    return [Paused._make((*row, _count(tx, "state = 3 AND target = :id", "queue, due_at", id=row[0]))) for row in rows]


def paused_queues(tx: Transaction, places: Places | None, limit: int) -> list[Paused]:
    rows = _paused(tx, "queues", "NULL", "true", places, limit)
    return [Paused._make((*row, _count(tx, "queue = :id AND state = 3", "day, id", id=row[0]))) for row in rows]


def find(tx: Transaction, id: int) -> Seen | None:
    row = tx.one(_SEEN + "WHERE d.id = :id", id=id)
    return Seen._make(row) if row else None


def look_closely(tx: Transaction, seen: Seen, most_body: int, most_attempts: int) -> Closely | None:
    row = tx.one(
        "SELECT created_at, substr(body, 1, :most), length(body), options FROM deliveries WHERE id = :id",
        id=seen.id,
        most=most_body,
    )
    attempts = tx.all(
        "SELECT delivery, number, node, started_at, took_ms, status, error, reply FROM attempts"
        " WHERE delivery = :id ORDER BY number DESC LIMIT :most",
        id=seen.id,
        most=most_attempts,
    )
    return Closely._make((seen, *row, [Attempt._make(attempt) for attempt in attempts])) if row else None


def place_of_target(tx: Transaction, id: int) -> tuple[str, str] | None:
    """(family, namespace)"""
    return _place(tx.one("SELECT family, namespace FROM targets WHERE id = :id AND removed_at IS NULL", id=id))


def place_of_queue(tx: Transaction, id: int) -> tuple[str, str] | None:
    return _place(tx.one("SELECT family, namespace FROM queues WHERE id = :id", id=id))


def _first(tx: Transaction, which: str, direction: str, places: Places | None, limit: int) -> Sight:
    found, exact = _gather(tx, which, direction, places, limit + 1)
    return Sight(_fetch(tx, found[:limit]), len(found) > limit, exact)


def _gather(tx: Transaction, which: str, direction: str, places: Places | None, most: int) -> tuple[list[Row], bool]:
    """(id, due_at, planned_at) of the first rows in these places, and whether it is certain that they are the first."""
    found = _walk(tx, which, direction, places, most) if places != () else []
    if not places or len(found) >= most or not _is_beyond(tx, which):
        return found, True
    beyond, exact = _walk_by_day(tx, which, direction, places)
    known = {row[0] for row in found}
    found += sorted((row for row in beyond if row[0] not in known), key=_due_at, reverse=bool(direction))
    return found[:most], exact


def _walk(tx: Transaction, which: str, direction: str, places: Places | None, limit: int) -> list[Row]:
    """(id, due_at, planned_at) of up to `limit` rows, by due_at."""
    visible, parameters = _visible(places)
    return tx.all(
        f"""
        SELECT walked.id, due_at, planned_at
        FROM (SELECT id, due_at, planned_at, queue FROM deliveries WHERE {which}
              ORDER BY due_at {direction}, id {direction} LIMIT :looked_at) AS walked
        JOIN queues ON queues.id = walked.queue
        WHERE {visible} ORDER BY due_at {direction}, walked.id {direction} LIMIT :limit
        """,
        looked_at=limit if places is None else LOOKED_AT,
        limit=limit,
        **parameters,
    )


def _is_beyond(tx: Transaction, which: str) -> bool:
    """Whether there are rows that the walk does not reach."""
    beyond = f"SELECT due_at FROM deliveries WHERE {which} ORDER BY due_at LIMIT 1 OFFSET :looked_at"
    return bool(tx.one(beyond, looked_at=LOOKED_AT))


def _walk_by_day(tx: Transaction, which: str, direction: str, places: Places) -> tuple[list[Row], bool]:
    """(id, due_at, planned_at) of the first rows of each queue in these places; whether that was all of them."""
    visible, parameters = _visible(places)
    queues = tx.all(f"SELECT id FROM queues WHERE {visible} LIMIT :most", most=QUEUES_LOOKED_AT, **parameters)
    if not queues:
        return [], True
    each = LOOKED_AT // len(queues)
    walks = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, due_at, planned_at, queue FROM deliveries WHERE queue = :q{n} AND {which}"
        f" ORDER BY day {direction}, id {direction} LIMIT :each) AS w{n}"
        for n in range(len(queues))
    )
    rows = tx.all(walks, each=each, **{f"q{n}": id for n, (id,) in enumerate(queues)})
    seen: dict[int, int] = {}
    for row in rows:
        seen[row[3]] = seen.get(row[3], 0) + 1
    return [row[:3] for row in rows], len(queues) < QUEUES_LOOKED_AT and each not in seen.values()


def _fetch(tx: Transaction, found: list[Row]) -> list[Seen]:
    ids = [row[:1] for row in found]
    rows = tx.each(_SEEN + "WHERE d.id IN (SELECT id FROM {rows})", "id BIGINT", ids)
    by_id = {row[0]: Seen._make(row) for row in rows}
    return [by_id[id] for (id,) in ids if id in by_id]


def _paused(tx: Transaction, table: str, reason: str, which: str, places: Places | None, limit: int) -> list[Row]:
    visible, parameters = _visible(places)
    return tx.all(
        f"SELECT id, family, namespace, name, paused_at, {reason} FROM {table}"
        f" WHERE paused_at IS NOT NULL AND {which} AND {visible} ORDER BY paused_at DESC, id LIMIT :limit",
        limit=limit,
        **parameters,
    )


def _count(tx: Transaction, which: str, order: str, **parameters: int) -> int:
    row = tx.one(
        f"SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE {which} ORDER BY {order} LIMIT :most) AS counted",
        most=MOST_COUNTED,
        **parameters,
    )
    return int(row[0]) if row else 0


def _visible(places: Places | None) -> tuple[str, dict[str, str]]:
    """A condition on the columns family and namespace, and its parameters."""
    if places is None:
        return "true", {}
    conditions = ["false"]
    parameters: dict[str, str] = {}
    for number, (family, namespace) in enumerate(places):
        given = {"family": family, "namespace": namespace}
        named = {column: value for column, value in given.items() if value is not None}
        parameters |= {f"{column}_{number}": value for column, value in named.items()}
        conditions.append("(" + " AND ".join(f"{column} = :{column}_{number}" for column in named) + ")")
    return f"({' OR '.join(conditions)})", parameters


def _place(row: Row | None) -> tuple[str, str] | None:
    return (row[0], row[1]) if row else None


def _due_at(row: Row) -> tuple[int, int]:
    return row[1], row[0]
