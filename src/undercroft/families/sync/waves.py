"""Whether what vanishes at an entry is believed at once, or waits until somebody confirms it."""

from collections.abc import Collection

from undercroft.base.clock import MINUTE, SECOND, Clock
from undercroft.database import Database
from undercroft.families.sync import store, wire
from undercroft.families.sync.drivers import with_defaults
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.wire import FEW, TOLD_WITHIN

# A wave is over when nothing has vanished for so long; where all is looked at only now and then, for two looks.
WAVE_LASTS = MINUTE
# So many paths are remembered that may come back.
MOST_PATHS = 10_000


def is_wave(gone: int, present: int, share: float) -> bool:
    """Whether so many vanishing files of so many are too many to believe it."""
    return gone > FEW and gone > share * present


class Vanishings:
    """Of one entry, whichever process tells of them: a wave goes on where one is killed in the middle of it."""

    def __init__(self, entry: Entry, database: Database, clock: Clock) -> None:
        """`clock`: one that nobody sets."""
        self._name = entry.name
        self._database = database
        self._clock = clock
        self._look_takes = 0.0
        self.forget()
        self.begin(entry)

    def begin(self, entry: Entry) -> None:
        """Its process has connected: looks are numbered anew, and what it before had still to tell is found again."""
        options = with_defaults(entry.driver, entry.options)
        self._share = float(options["delete_share"])
        self._polled = float(options.get("changes_timer", 0))
        self._look, self._vanished, self._holds = 0, 0, False

    def note_scan(self, seconds: float) -> None:
        """So long it takes to look at everything."""
        self._look_takes = seconds

    def forget(self) -> None:
        """Somebody has said what was meant: what vanishes now is another matter."""
        self._gone = 0
        """So many more have gone in this wave than came."""
        self._to_come = 0
        """So many of them are counted and not written down yet."""
        self._paths: set[str] = set()
        self._present: int | None = None
        self._is_held = False
        self._last = 0

    async def are_held(self, report: wire.Report, *, is_first: bool) -> bool:
        """Decided once for all pages of a look. A root in which nothing is left, however little that was, may be one
        whose disk is not mounted. `is_first`: the link's first look at everything."""
        if report.look and (report.look != self._look or report.vanished > self._vanished):
            self._look, self._vanished = report.look, report.vanished
            # What the look before has counted and not told is counted again by this one.
            self._gone, self._to_come = max(0, self._gone - self._to_come), 0
            self._holds = await self._is_wave(report.vanished, is_first=is_first) or report.emptied
        return report.look > 0 and self._holds

    def note_written(self, report: wire.Report) -> None:
        """A page has been written down."""
        here = [seen.path for seen in report.seen if seen.content is not None]
        if not report.look:  # it was put back: no look has counted it
            return self.note_back(here)
        gone = [seen.path for seen in report.seen if seen.content is None]
        self._to_come = max(0, self._to_come - len(gone))
        self._paths.difference_update(here)
        self._paths.update(gone[: max(0, min(MOST_PATHS, self._gone) - len(self._paths))])
        return None

    def note_back(self, paths: Collection[str]) -> None:
        """These are here by our doing. One file that goes again and again is one file."""
        back = self._paths.intersection(paths)
        self._paths -= back
        self._gone = max(0, self._gone - len(back))

    async def _is_wave(self, vanished: int, *, is_first: bool) -> bool:
        """With all that has gone since the wave began. What is held already is the beginning of one where nothing else
        is known: an entry, or the server, may have been ended in the middle."""
        now = self._clock()
        looks = 2 * (self._polled + self._look_takes) if self._polled else 0.0
        if now - self._last >= max(WAVE_LASTS, looks * SECOND) + TOLD_WITHIN:
            self.forget()
        if is_first and not self._gone:
            self._gone = await self._database.read(store.count_held, self._name)
        before, self._gone = self._gone, max(0, self._gone + vanished)
        if vanished > 0:
            self._last, self._to_come = now, vanished
        if self._gone <= FEW:
            self._present, self._is_held = None, False
        elif vanished > 0 and not self._is_held:
            self._is_held = await self._are_too_many(before)
        return vanished > 0 and self._is_held

    async def _are_too_many(self, before: int) -> bool:
        """Of as many as there were when it began; more may have come since."""
        if self._present is None or is_wave(self._gone, self._present, self._share):
            self._present = before + await self._database.read(store.count_present, self._name)
        return is_wave(self._gone, self._present, self._share)


class Waves:
    """The vanishings of all entries. A start of the server knows only what is held."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._of: dict[str, Vanishings] = {}

    def of(self, entry: Entry) -> Vanishings:
        """For a process of its that has just connected."""
        if entry.name in self._of:
            self._of[entry.name].begin(entry)
        else:
            self._of[entry.name] = Vanishings(entry, self._database, self._clock)
        return self._of[entry.name]

    def forget(self, name: str) -> None:
        if name in self._of:
            self._of[name].forget()
