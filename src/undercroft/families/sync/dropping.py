"""What an entry's worker is asked to drop: kept versions whose time is over, a page at a time."""

from collections.abc import Callable

from undercroft.families.sync import kept, wire
from undercroft.families.sync.drivers import LOCAL
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Term

# Where each is a request or two, fewer go at once: what is new waits behind them.
PAGE_FAR = 100


class Dropping:
    def __init__(self, entry: Entry, term: Term, say: Callable[[wire.Message], None]) -> None:
        self._entry = entry
        self._term = term
        self._say = say
        self._most = kept.PAGE if entry.driver == LOCAL else PAGE_FAR
        self._after = kept.START
        self._is_asked = False
        self._is_full = False

    async def ask(self, now: int) -> None:
        """A page, unless the last was not answered yet. Rows go when the worker says that they are gone. One that
        can't be dropped holds up no other: it is asked for again when all have been."""
        if self._is_asked:
            return
        self._is_asked = True  # also while it is looked up: others may ask meanwhile
        old = []
        try:
            old = await self._term.read(kept.expired, self._entry, now, self._after, self._most)
        finally:
            self._is_asked = bool(old)
        self._is_full = len(old) == self._most
        self._after = (old[-1].replaced_at, old[-1].id) if self._is_full else kept.START
        if old:
            self._say(wire.Drop([version.place for version in old]))

    async def note(self, dropped: wire.Dropped) -> bool:
        """The worker's answer; whether the next page is to be asked for at once: more is left, and some went."""
        self._is_asked = False
        await self._term.write(kept.forget, self._entry.name, dropped.places)
        return self._is_full and bool(dropped.places)
