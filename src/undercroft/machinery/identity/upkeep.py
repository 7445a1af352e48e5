"""What is forgotten of accounts in time: buckets that are full again, mailed tokens, places of long ago."""

from undercroft.database import Database, Transaction
from undercroft.machinery.identity.limits import forget_old_tries
from undercroft.machinery.identity.logins import forget_old_places
from undercroft.machinery.identity.resets import forget_old_resets

AT_ONCE = 500


class Forgetting:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_old(self, now: int) -> bool:
        """A step."""
        return await self._database.write(_forget, now)


def _forget(tx: Transaction, now: int) -> bool:
    counts = [forget(tx, now, AT_ONCE) for forget in (forget_old_tries, forget_old_resets, forget_old_places)]
    return max(counts) == AT_ONCE
