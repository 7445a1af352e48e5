"""The loop of what takes longer than a request: page by page, beside all else that is written.

How far it is stands in the database: what a request does not wait for any more, or a kill cuts short, is gone on with.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable

import structlog

from undercroft.families.sync import store_entries, walks
from undercroft.families.sync.links import OnNoticed
from undercroft.families.sync.terms import Superseded, Term

log = structlog.get_logger()

RULES = ""
"""The errand of giving files out by the rules; others have the names of the entries that are removed."""
# A request waits so long (s); clients wait for a minute.
LONGEST_WAIT = 45.0
# Seconds until what the database could not do is tried again.
AFTER_FAILURE = 1.0


class Errands:
    def __init__(
        self,
        on_noticed: OnNoticed,
        is_connected: Callable[[str], bool],
        on_removed: Callable[[str], Awaitable[None]],
    ) -> None:
        """`is_connected`: what an entry's worker still says is written down before the entry is forgotten."""
        self._on_noticed = on_noticed
        self._is_connected = is_connected
        self._on_removed = on_removed
        self._held: set[str] = set()
        """Removed entries whose workers still say something."""
        self._woken = asyncio.Event()
        self._waiting: dict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._running: asyncio.Task[None] | None = None

    def start(self, term: Term) -> None:
        self._running = asyncio.create_task(self._run(term))

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    async def done(self, errand: str, within: float | None = None) -> bool:
        """Whether the errand, which is written down by now, is done within so many seconds. It is gone on with anyway.

        Raises what kept it from being done.
        """
        heard = asyncio.get_running_loop().create_future()
        waiting = self._waiting[errand]
        waiting.append(heard)
        self._woken.set()
        try:
            async with asyncio.timeout(LONGEST_WAIT if within is None else within):
                await heard
        except TimeoutError:
            return False
        finally:
            waiting.remove(heard)
            if not waiting:
                self._waiting.pop(errand, None)
        return True

    async def _run(self, term: Term) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            pause = None
            try:
                while await self._do_some(term):
                    pass
                pause = AFTER_FAILURE if self._held else None
            except Superseded as error:
                self._tell_failure(error)
                pause = AFTER_FAILURE
            except Exception as error:
                log.exception("errand_failed")
                self._tell_failure(error)
                pause = AFTER_FAILURE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def _do_some(self, term: Term) -> bool:
        """A page of each; whether there is more to do at once. Who begins to wait meanwhile is told by the next."""
        heard = {errand: tuple(waiting) for errand, waiting in self._waiting.items()}
        removed = await term.read(store_entries.leaving)
        self._held = held = {name for name in removed if self._is_connected(name)}
        more = {errand for errand in (RULES, *removed) if errand not in held and await self._do_page(term, errand)}
        for errand in heard.keys() - more - held:
            for one in heard[errand]:
                if not one.done():
                    one.set_result(None)
        return bool(more)

    async def _do_page(self, term: Term, errand: str) -> bool:
        if errand == RULES:
            noticed, more = await term.write_once(walks.give_out)
        else:
            noticed, more = await term.write_once(walks.forget, errand)
        self._on_noticed(noticed)
        if not more and errand != RULES:
            log.info("entry_removed", entry=errand)
            await self._on_removed(errand)
        return more

    def _tell_failure(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            for one in waiting:
                if not one.done():
                    one.set_exception(error)
