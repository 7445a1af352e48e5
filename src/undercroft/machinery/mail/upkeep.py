"""What forgets mails that had their end long ago, and idempotency keys that are older than a day."""

from undercroft.base.clock import DAY
from undercroft.base.ids import base32
from undercroft.database import Database
from undercroft.machinery.mail import keys, store

KEPT = 30 * DAY
PAGE = 500


class MailUpkeep:
    def __init__(self, database: Database, keep: int = KEPT) -> None:
        """`keep`: for how long after they came mails are kept (ms)."""
        self._database = database
        self._keep = keep
        self._after = ""

    async def purge(self, now: int) -> bool:
        """A step: mails and keys whose time is over are forgotten. What still waits to be sent stays."""
        before = oldest_id(now - self._keep)
        _forgotten, after = await self._database.write(store.forget, self._after, before, PAGE)
        self._after = after or ""
        keys_forgotten = await self._database.write(keys.forget, now, PAGE)
        return after is not None or keys_forgotten == PAGE


def oldest_id(moment: int) -> str:
    """No mail that was made at this moment or later has an id below this one."""
    return base32(1 << 129 | max(moment, 0) << 80)
