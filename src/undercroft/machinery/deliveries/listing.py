"""Dead rows of a queue in the order in which they were made; `store.page` goes by the day they are planned for."""

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Delivery
from undercroft.machinery.deliveries.store import COLUMNS


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
