"""What was counted and found long ago is forgotten: finished runs, who was behind, estimates.

A schedule of every minute makes half a million runs a year. Ids grow with time, so the oldest rows are found without a
look at the others.
"""

from undercroft.base.clock import DAY
from undercroft.database import Database, Transaction

KEPT = 90 * DAY
PER_STEP = 500
# Table → the moment from which on it is only history.
_OVER = {"messaging_runs": "finished_at", "messaging_behind": "created_at", "messaging_estimates": "created_at"}


class Forgetting:
    """`step` is what the loop does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self, now: int) -> bool:
        """Whether there may be more to do at once."""
        return await self._database.write(forget_some, now - KEPT) >= PER_STEP


def forget_some(tx: Transaction, before: int) -> int:
    """How many of one table's rows, at the most."""
    return max(
        tx.run(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT :most) AND {over} < :before",
            most=PER_STEP,
            before=before,
        )
        for table, over in _OVER.items()
    )
