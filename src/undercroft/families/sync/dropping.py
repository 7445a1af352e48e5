"""What an entry's worker is asked to drop, a page at a time: kept versions whose time is over, and those for which
there is no room.

They are listed no more before the worker is asked, and their rows go when it says that they are gone: whatever is
killed in between, what is listed is there, and what is there is listed or asked for again.
"""

from collections.abc import Callable, Sequence

import structlog

from undercroft.base.clock import DAY, HOUR, SECOND
from undercroft.families.sync import kept, room, store_versions, wire
from undercroft.families.sync.drivers import LOCAL
from undercroft.families.sync.operations import Kept, Room
from undercroft.families.sync.recording import HOUSE, Deed, record
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Term

log = structlog.get_logger()

# Where each is a request or two, fewer go at once: what is new waits behind them.
PAGE_FAR = 100
# That it is so is told as often, for as long as it is; and so long after the last that went it is said to be so (ms),
# or before, where the clock was set back.
TOLD_EVERY, SAID_FOR = DAY, HOUR
# Some file systems give room back a while (ms) after what had it is gone: more would be dropped than is needed.
SETTLING = 10 * SECOND


class Dropping:
    def __init__(self, entry: Entry, term: Term, say: Callable[[wire.Message], None]) -> None:
        self.usual = 0
        """Bytes that entries keep which say nothing else (`room.most`)."""
        self._entry = entry
        self._term = term
        self._say = say
        self._most = kept.PAGE if entry.driver == LOCAL else PAGE_FAR
        self._room: Room | None = None
        self._after = kept.After(None)
        self._left: float = -1
        self._is_asked = False
        self._asked: list[str] = []
        self._why = ""
        self._went_at = self._told_at = self._short_at = -DAY
        self._is_full = False

    def early(self, now: int) -> str:
        """Why kept versions go before their time; "" where they don't."""
        return self._why if abs(now - self._went_at) < SAID_FOR else ""

    async def ask(self, now: int) -> None:
        """A page, unless the last was not answered yet; and how much room there is, where that can be told. What can't
        be dropped holds up no other: it is asked for again when all have been."""
        if self._is_asked:
            return
        if self._after.old is None:
            self._after = self._after._replace(old=kept.START)
        await self.go_on(now)
        self._ask_for_room()

    async def weigh(self, more: Sequence[Kept], left: Room | None, now: int) -> None:
        """These are kept now, and so much room is left: what is too much goes at once."""
        self._note_room(left)
        self._left -= sum(one.size for one in more)
        if self._left < 0 or (room.lacking(self._room) and not self._is_settling(now)):
            await self.go_on(now)

    async def note(self, dropped: wire.Dropped) -> bool:
        """The worker's answer; whether to go on at once: some went, or only the room was asked for."""
        asked, self._asked = self._asked, []
        self._note_room(dropped.room)
        if asked or dropped.places:  # what is gone is listed no more, whoever asked for it
            await self._term.write(kept.note_dropped, self._entry.name, dropped.places, asked)
        if set(dropped.places).issuperset(asked):
            self._after = self._after._replace(early=store_versions.FIRST)
        self._is_full = len(asked) == self._most
        self._is_asked = False  # only now: who asks while this is written down would be overtaken
        return not asked or bool(dropped.places)

    async def go_on(self, now: int) -> None:
        """With what is too old, if the last page of it was full; and with what there is no room for."""
        if self._is_asked:
            return
        self._is_asked = True  # also while it is looked up: others may ask meanwhile
        limits = kept.Limits(self.usual, self._room, self._is_settling(now) and not self._is_full)
        try:
            going = await self._term.read(kept.to_go, self._entry, now, limits, self._after, self._most)
            self._after = going.after
            self._left = float("inf") if going.left is None else going.left
            if going.places:
                self._asked = await self._term.write(store_versions.let_go, self._entry.name, going.places)
        finally:
            self._is_asked = bool(self._asked)
        if self._asked:
            self._say(wire.Drop(self._asked))
        if going.early:
            await self._tell(going.why, now)

    # Parts

    def _ask_for_room(self) -> None:
        """Where it has nothing to answer: while a page was told of it may have answered, and what comes next be asked
        already, or looked up at this moment."""
        if not self._is_asked and self._entry.driver == LOCAL:
            self._is_asked = True
            self._say(wire.Drop([]))

    def _note_room(self, left: Room | None) -> None:
        if left is not None:
            self._room = left

    def _is_settling(self, now: int) -> bool:
        return 0 <= now - self._short_at < SETTLING

    async def _tell(self, why: str, now: int) -> None:
        is_told = why == self._why and abs(now - self._told_at) < TOLD_EVERY
        self._why, self._went_at = why, now
        if why == room.SHORT:
            self._short_at = now
        if not is_told:
            self._told_at = now
            log.warning("versions_dropped_early", entry=self._entry.name, reason=why)
            deed = Deed(HOUSE, now, "drop kept versions early", self._entry.name, {"reason": why})
            await self._term.write_once(record, deed)
