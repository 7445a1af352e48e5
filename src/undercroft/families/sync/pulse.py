"""Whether a worker goes on. It is asked now and then, and its loop answers: one that is stopped, or whose disk hangs,
does not, and would look well. Steps; moments (s) are handed in."""

import asyncio
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

# It is asked as often (s). Who has said nothing for three times that, though it was asked, stands still.
BEAT = 20.0
SILENT = 3 * BEAT
STANDS_STILL = (
    "its process has not answered for a minute or longer: it was stopped, or its disk hangs. It is waited for; a"
    " restart of the entry ends it and starts another"
)


class Pulse:
    def __init__(self, entry: str, ask: Callable[[], None], can_be_asked: Callable[[], bool]) -> None:
        """`can_be_asked`: else it is to take something first."""
        self._entry = entry
        self._ask = ask
        self._can_be_asked = can_be_asked
        self._is_asked = False
        self._is_expected = False
        self._silent = 0.0
        self._stuck = ""
        """What the worker says of a part of its own that does not go on."""
        self._looked_at: float | None = None
        self._told = ""

    @property
    def reason(self) -> str:
        """Why it does nothing, or not all; "" where it does."""
        return STANDS_STILL if self._silent >= SILENT else self._stuck

    def expect(self) -> None:
        """It is its turn to say something, or to take what we say. While it is ours nobody is silent."""
        self._is_expected = True

    def heard(self) -> None:
        """It has."""
        self._is_expected = False
        self._silent = 0.0

    def answered(self, stuck: str) -> None:
        self._is_asked = False
        self._stuck = stuck

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(BEAT)
            self.beat(time.monotonic())

    def beat(self, now: float) -> None:
        """A step: it is asked, unless it still owes an answer. Where we stood still ourselves that is not its time: no
        step counts for more than two."""
        can_be_asked = self._can_be_asked()
        passed = 0.0 if self._looked_at is None else max(0.0, min(now - self._looked_at, 2 * BEAT))
        self._looked_at = now
        if self._is_expected and (self._is_asked or not can_be_asked):
            self._silent += passed
        if can_be_asked and not self._is_asked:
            self._is_asked = True
            self._ask()
        self._tell()

    def _tell(self) -> None:
        """Once, and once that it is over."""
        reason = self.reason
        if reason and not self._told:
            log.warning("entry_still", entry=self._entry, reason=reason)
        elif self._told and not reason:
            log.info("entry_goes_on", entry=self._entry)
        self._told = reason
