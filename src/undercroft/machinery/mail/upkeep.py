"""What forgets mails that had their end long ago, what was in the house's own, and keys that are older than a day."""

from undercroft.base.clock import DAY
from undercroft.base.ids import base32
from undercroft.database import Database
from undercroft.machinery.mail import keys, store

KEPT = 30 * DAY
SECRETS_LAST = DAY
PAGE = 500


class MailUpkeep:
    def __init__(self, database: Database, keep: int = KEPT, house: str = "", secrets_last: int = SECRETS_LAST) -> None:
        """`keep`: for how long after they came mails are kept (ms).

        `house`: the namespace of mails with tokens and passwords in them, which are good for `secrets_last` ms.
        """
        self._database = database
        self._keep = keep
        self._after = ""
        self._house = house
        self._secrets_last = secrets_last
        self._emptied = ""

    async def purge(self, now: int) -> bool:
        """A step: mails and keys whose time is over are forgotten. What still waits to be sent stays."""
        before = oldest_id(now - self._keep)
        _forgotten, after = await self._database.write(store.forget, self._after, before, PAGE)
        self._after = after or ""
        keys_forgotten = await self._database.write(keys.forget, now, PAGE)
        return after is not None or keys_forgotten == PAGE

    async def forget_secrets(self, now: int) -> bool:
        """A step: what is in the house's own mails goes when they had their end, or when it is good no more.

        A token that opens an account stands in plain text for no longer than it takes to mail it.
        """
        before = oldest_id(now - self._secrets_last)
        emptied = await self._database.write(store.forget_contents, self._house, self._emptied, before, PAGE)
        if emptied == PAGE:
            return True
        self._emptied = before  # below this there is nothing left to look for
        return False


def oldest_id(moment: int) -> str:
    """No mail that was made at this moment or later has an id below this one."""
    return base32(1 << 129 | max(moment, 0) << 80)
