"""Rows of a queue, page by page: by the day they are planned for; dead ones also in the order they were made in."""

from typing import NamedTuple

from undercroft.base.clock import DAY
from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Delivery, State
from undercroft.machinery.deliveries.store import COLUMNS


class Selection(NamedTuple):
    """Which rows of a queue: in these states, planned in [after, before), for this target, past this cursor."""

    queue: int
    states: tuple[int, ...] = tuple(State)
    after: int | None = None
    before: int | None = None
    target: int | None = None
    retrying: bool | None = None
    cursor: tuple[int, int] = (-1, -1)


# A page looks at this many rows at the most, however few of them match; the cursor goes on from there.
MOST_LOOKED_AT = 5_000


def page(tx: Transaction, selection: Selection, limit: int) -> tuple[list[Delivery], tuple[int, int] | None]:
    """Matching rows by the day they are planned for, then as they were made; the cursor of the next page, or None."""
    looked_at = max(limit + 1, MOST_LOOKED_AT) if _is_narrowed(selection) else limit + 1
    position = "" if selection.after is None else " AND day >= :first_day"
    position += "" if selection.before is None else " AND day <= :last_day"
    # One ordered walk per state, merged: the index begins with the state, so no stored row is looked at in vain.
    walks = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, day, planned_at, target, attempts, state FROM deliveries"
        f" WHERE queue = :queue AND state = {int(state)} AND (day, id) > (:day, :id){position}"
        f" ORDER BY day, id LIMIT :looked_at) AS s{int(state)}"
        for state in selection.states
    )
    rows = tx.all(
        f"SELECT id, day, planned_at, target, attempts FROM ({walks}) AS every ORDER BY day, id LIMIT :looked_at",
        queue=selection.queue,
        day=selection.cursor[0],
        id=selection.cursor[1],
        looked_at=looked_at,
        **_days(selection),
    )
    matching = [row for row in rows if _matches(selection, *row[2:])]
    kept = matching[:limit]
    if len(matching) > limit:
        following: tuple[int, int] | None = (kept[-1][1], kept[-1][0])
    else:
        following = (rows[-1][1], rows[-1][0]) if len(rows) == looked_at else None
    return _whole(tx, [row[0] for row in kept]), following


def _is_narrowed(selection: Selection) -> bool:
    return (selection.after, selection.before, selection.target, selection.retrying) != (None,) * 4


def _days(selection: Selection) -> dict[str, int]:
    days = {}
    if selection.after is not None:
        days["first_day"] = selection.after // DAY
    if selection.before is not None:
        days["last_day"] = selection.before // DAY
    return days


def _matches(selection: Selection, planned_at: int, target: int, attempts: int) -> bool:
    return (
        (selection.after is None or planned_at >= selection.after)
        and (selection.before is None or planned_at < selection.before)
        and (selection.target is None or target == selection.target)
        and (selection.retrying is None or (attempts > 0) == selection.retrying)
    )


def _whole(tx: Transaction, ids: list[int]) -> list[Delivery]:
    rows = tx.each(
        f"SELECT {COLUMNS} FROM deliveries WHERE id IN (SELECT id FROM {{rows}})", "id BIGINT", [(id,) for id in ids]
    )
    by_id = {delivery.id: delivery for delivery in map(Delivery._make, rows)}
    return [by_id[id] for id in ids if id in by_id]


def dead(tx: Transaction, queue: int, beyond: int | None, limit: int, *, ascending: bool) -> list[Delivery]:
    """Those from this id on, not itself, up or down."""
    side, order = (">", "ASC") if ascending else ("<", "DESC")
    position = "" if beyond is None else f" AND id {side} :beyond"
    rows = tx.all(
        f"SELECT {COLUMNS} FROM deliveries WHERE queue = :queue AND state = 5{position}"
        f" ORDER BY id {order} LIMIT :limit",
        queue=queue,
        limit=limit,
        **({} if beyond is None else {"beyond": beyond}),
    )
    return [Delivery._make(row) for row in rows]


def dead_one(tx: Transaction, queue: int, id: int) -> Delivery | None:
    row = tx.one(
        f"SELECT {COLUMNS} FROM deliveries WHERE id = :id AND +queue = :queue AND +state = 5", id=id, queue=queue
    )
    return Delivery._make(row) if row else None
