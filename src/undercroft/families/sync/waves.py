"""Whether what vanishes at an entry is believed at once, or waits until somebody confirms it."""

from undercroft.base.clock import MINUTE, Clock
from undercroft.database import Database
from undercroft.families.sync import store, wire
from undercroft.families.sync.drivers import option
from undercroft.families.sync.store_entries import Entry

# As many files vanish without a question.
FEW = 10
# Vanishings within this long are one wave.
WAVE_LASTS = MINUTE


def is_wave(gone: int, present: int, share: float) -> bool:
    """Whether so many vanishing files of so many are too many to believe it."""
    return gone > FEW and gone > share * present


class Vanishings:
    """Of one entry, while it is linked."""

    def __init__(self, entry: Entry, database: Database, clock: Clock) -> None:
        self._name = entry.name
        self._share = float(option(entry.driver, entry.options, "delete_share"))
        self._database = database
        self._clock = clock
        self._looks: list[tuple[int, int]] = []
        self._present: int | None = None
        self._decided: tuple[int, bool] = (-1, False)

    async def are_held(self, report: wire.Report, *, is_first: bool) -> bool:
        """Decided once for all pages of a look. A root in which nothing is left, however little that was, may be one
        whose disk is not mounted. `is_first`: the link's first look at everything."""
        if report.emptied:
            return True
        if report.vanished <= 0:
            return False
        if report.look != self._decided[0]:
            self._decided = report.look, await self._is_wave(report.vanished, is_first=is_first)
        return self._decided[1]

    def forget(self) -> None:
        """Somebody has said what was meant: what vanishes now is another matter."""
        self._looks.clear()
        self._present = None

    async def _is_wave(self, vanished: int, *, is_first: bool) -> bool:
        """With what has vanished within the last minute. Also with what is held already where the link is new: the one
        before may have been cut in the middle of a wave."""
        now = self._clock()
        self._looks = [(at, count) for at, count in self._looks if now - at < WAVE_LASTS]
        earlier = sum(count for _, count in self._looks)
        self._looks.append((now, vanished))
        if is_first:
            earlier += await self._database.read(store.count_held, self._name)
        if earlier + vanished <= FEW:
            self._present = None
            return False
        if self._present is None:  # as many as there were when it began
            self._present = earlier + await self._database.read(store.count_present, self._name)
        return is_wave(earlier + vanished, self._present, self._share)
