"""Rows of a queue in the order in which they were made; `store.page` lists them by the day they are planned for."""

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Delivery, State
from undercroft.machinery.deliveries.store import COLUMNS


def in_order(
    tx: Transaction, queue: int, state: State, beyond: int | None, limit: int, *, ascending: bool
) -> list[Delivery]:
    """Those in this state from this id on, not itself, up or down."""
    side, order = (">", "ASC") if ascending else ("<", "DESC")
    position = "" if beyond is None else f" AND id {side} :beyond"
    rows = tx.all(
        f"SELECT {COLUMNS} FROM deliveries WHERE queue = :queue AND state = :state{position}"
        f" ORDER BY id {order} LIMIT :limit",
        queue=queue,
        state=int(state),
        limit=limit,
        **({} if beyond is None else {"beyond": beyond}),
    )
    return [Delivery._make(row) for row in rows]
