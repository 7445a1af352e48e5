"""What becomes of a mail's first attempts, for the request that still waits for the relay's word."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from undercroft.database import Database
from undercroft.machinery.mail.actions import TOLD
from undercroft.machinery.mail.store import Told


class First:
    """The first word on each recipient of one mail that this process heard of."""

    def __init__(self) -> None:
        self.told: dict[int, Told] = {}
        self._wanted = 0
        self._enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(self, told: Told) -> None:
        self.told.setdefault(told.position, told)
        self._look()

    async def of(self, count: int, seconds: float) -> bool:
        """Until so many were heard of, but no longer than that; whether they were."""
        self._wanted = count
        self._look()
        done, _ = await asyncio.wait({self._enough}, timeout=seconds)
        return bool(done)

    def _look(self) -> None:
        if self._wanted and len(self.told) >= self._wanted and not self._enough.done():
            self._enough.set_result(None)


class Outcomes:
    def __init__(self, database: Database) -> None:
        self._waiting: dict[str, list[First]] = {}
        database.listen(TOLD, self._hear)

    @contextmanager
    def expected(self, mail: str) -> Iterator[First]:
        """To be begun before the mail is stored: its outcome may be there as soon as that."""
        first = First()
        self._waiting.setdefault(mail, []).append(first)
        try:
            yield first
        finally:
            self._waiting[mail].remove(first)
            if not self._waiting[mail]:
                del self._waiting[mail]

    def _hear(self, told: list[Told]) -> None:
        for one in told:
            for first in self._waiting.get(one.mail, ()):
                first.hear(one)
