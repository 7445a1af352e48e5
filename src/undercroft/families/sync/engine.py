"""The entries, on the node that runs them: what people ask of them, and what is done for all of them now and then."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from undercroft.base.clock import MINUTE, SECOND, Clock
from undercroft.base.refusals import conflict, unavailable
from undercroft.database import Database
from undercroft.families.sync import actions, kept, store_entries, store_versions, tallies
from undercroft.families.sync.actions import Noticed
from undercroft.families.sync.entry_processes import EntryProcesses
from undercroft.families.sync.errands import RULES, Errands
from undercroft.families.sync.happenings import Happenings
from undercroft.families.sync.links import Link
from undercroft.families.sync.model import Rule, check_entry
from undercroft.families.sync.recording import HOUSE, Deed, record, recorded
from undercroft.families.sync.roots import require_apart
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.store_versions import KeptVersion
from undercroft.families.sync.switchboard import Switchboard
from undercroft.families.sync.terms import ELSEWHERE, Term
from undercroft.machinery.processes.children import Figures
from undercroft.machinery.processes.supervisor import Supervisor

log = structlog.get_logger()

# A node that runs the entries says so as often (s); when it has not for LEASE (ms), another runs them.
KEEP_EVERY, LEASE = 5, 20 * SECOND
# A node that has just started runs its entries after a moment (s).
LONGEST_START = 5.0


class Engine:
    def __init__(self, database: Database, supervisor: Supervisor, folder: Path, clock: Clock, keep: int = 0) -> None:
        """`folder`: for the socket to which workers connect; this user's alone; `keep`: `sync_keep_bytes`."""
        self._database = database
        self._folder = folder.absolute()
        self._clock = clock
        self._board = Switchboard(database, self._folder, clock, self._noticed, self._stopped, keep)
        self._processes = EntryProcesses(database, supervisor, self._board.socket)
        self._errands = Errands(self._noticed, lambda name: name in self._board.links, self._removed)
        self._happenings = Happenings()
        self._changing = asyncio.Lock()
        self.here = asyncio.Event()
        self._term: Term | None = None
        self._is_closed = False
        self._made = time.monotonic()
        self._drop_at = 0

    # The engine's own life

    async def start(self) -> bool:
        """Listen for workers; then the entries that should run do. False where they do already. One that fails half-way
        leaves nothing behind: the next begins anew."""
        if self._board.is_open or self._is_closed:
            return False
        for step in (tallies.count_some, kept.name_files):
            while await self._database.write(step):
                pass
        try:
            term = self._term = await Term.begin(self._database)
            await self._board.open(term)
            await self._processes.want_all(term)
            if self._is_closed:  # meanwhile
                raise unavailable("the server is shutting down")
        except BaseException:
            await self.stand_down()
            raise
        self._errands.start(term)
        self.here.set()
        return True

    async def close(self) -> None:
        """For good: the server stops."""
        self._is_closed = True
        await self.stand_down()

    async def stand_down(self) -> None:
        """Until it starts again. What workers have said by now is written down."""
        self.here.clear()
        await self._errands.close()
        await self._board.close()

    async def leave(self, _now: int) -> bool:
        """A step: another node runs the entries. Workers of this one find no server here any more, and end."""
        if self._board.is_open:
            log.warning("entries_left")
            await self.stand_down()
        return False

    async def keep(self, now: int) -> bool:
        """A step: starts at first; then kept versions and conflicts whose time is over are dropped."""
        if self._term is not None and self._term.is_over:  # another node had them, and has not any more
            await self.stand_down()
        await self.start()
        if self._is_closed:
            return False
        if not self._changing.locked():  # else nobody knows yet which are wanted
            async with self._changing:
                await self._put_right()
        if now < self._drop_at <= now + MINUTE:  # where it is later, the clock was set back
            return False
        self._drop_at = now + MINUTE
        await self._board.drop_old(now)
        await (await self._be_here()).write(kept.forget_conflicts, now)
        return False

    async def _be_here(self) -> Term:
        """Raises Refusal(UNAVAILABLE) where another node runs the entries."""
        try:
            left = self._made + LONGEST_START - time.monotonic()
            await asyncio.wait_for(self.here.wait(), max(0.01, left))
        except TimeoutError:
            raise unavailable(ELSEWHERE) from None
        assert self._term is not None
        return self._term

    # Entries

    async def add(self, name: str, driver: str, options: dict[str, Any], by: str = HOUSE) -> None:
        """`by`: whom the record names, here and in the others."""
        term = await self._be_here()
        async with self._changing:
            await self._require_apart(name, driver, options)
            deed = self._deed(by, "add entry", name, {"driver": driver})
            await term.write_once(recorded, deed, actions.add_entry, name, driver, options, deed.now)
            await self._processes.want(name, up=True)
            await self._board.tell_storages()
        self._happenings.tell_entry(name, "active")

    async def change(self, name: str, options: dict[str, Any], by: str = HOUSE) -> None:
        term = await self._be_here()
        async with self._changing:
            entry = await self._database.read(actions.require_entry, name)
            await self._require_apart(name, entry.driver, options)
            deed = self._deed(by, "change entry", name, {"options": sorted(options)})
            await term.write_once(recorded, deed, actions.change_entry, name, options)
            self._board.connect_anew(name)
            await self._board.tell_storages()

    async def remove(self, name: str, by: str = HOUSE, within: float | None = None) -> bool:
        """Whether it is gone within so many seconds (`errands.LONGEST_WAIT`); else it will be."""
        term = await self._be_here()
        async with self._changing:
            await self._database.read(actions.require_entry, name)
            deed = self._deed(by, "remove entry", name)
            await term.write_once(recorded, deed, actions.begin_removal, name)
            await self._put_away(name)
        return await self._errands.done(name, within)

    async def begin(self, name: str, by: str = HOUSE) -> None:
        """Raises Refusal: CONFLICT where it runs, UNAVAILABLE where it is not started in time."""
        await self._turn(name, True, by)

    async def end(self, name: str, by: str = HOUSE) -> None:
        """Raises Refusal: CONFLICT where it does not run, UNAVAILABLE where it has not ended in time."""
        await self._turn(name, False, by)

    async def restart(self, name: str, by: str = HOUSE) -> None:
        entry = await self._database.read(actions.require_entry, name)
        if not entry.up:
            raise conflict("not_running", f"entry {name} is not running")
        await self._be_here()
        await self._database.write_once(record, self._deed(by, "restart entry", name))
        await self._processes.restart(name)
        await self._processes.settle(name, "restart")
        self._happenings.tell_entry(name, "active")

    async def status(self, name: str) -> str:
        """`active`, `stopped`, `starting` or `stopping`."""
        return await self._processes.status(await self._database.read(actions.require_entry, name))

    async def figures(self, name: str) -> tuple[Figures, int]:
        """Of its process, and when that was started (ms). Raises Refusal(CONFLICT) where there is none."""
        await self._database.read(actions.require_entry, name)
        await self._be_here()
        try:
            return await self._processes.figures(name)
        except LookupError:
            raise conflict("not_running", f"entry {name} is not running") from None

    async def running(self, name: str) -> Link:
        """Raises Refusal: CONFLICT where it does not run, UNAVAILABLE where its process is not there in time."""
        await self._be_here()
        entry = await self._database.read(store_entries.find_entry, name)
        if entry is None or not entry.up:
            raise conflict("not_running", f"entry {name} is not running")
        return await self._board.meet(name)

    def link(self, name: str) -> Link | None:
        return self._board.links.get(name)

    def away(self, entry: Entry) -> str:
        """Why it does nothing at this moment, though it runs; "" where it does, or is to stand still."""
        why = self._board.away(entry.name) or self._processes.trouble(entry.name, self._board.missing_for)
        return why if entry.up else ""

    def links(self) -> list[Link]:
        return list(self._board.links.values())

    # Rules and deletions

    async def apply_rules(self, by: str = HOUSE, within: float | None = None) -> bool:
        """Whether every known file is given out by the stored rules within so many seconds; else it will be."""
        term = await self._be_here()
        await term.write_once(recorded, self._deed(by, "apply rules", "rules"), actions.apply_rules)
        return await self._errands.done(RULES, within)

    async def put_rules(self, rules: tuple[Rule, ...], by: str = HOUSE) -> None:
        deed = self._deed(by, "change rules", "rules", {"rules": msgspec.to_builtins(rules)})
        await self._database.write_once(recorded, deed, actions.put_rules, rules)

    async def restore(self, path: str, version: KeptVersion, by: str) -> None:
        """It is asked for until it was tried, whatever ends the entry's process meanwhile.

        Raises Refusal(CONFLICT) where the entry that keeps it does not run.
        """
        link = await self.running(version.entry)
        deed = self._deed(by, "restore file", path, {"entry": version.entry, "version": version.id})
        await (await self._be_here()).write_once(recorded, deed, store_versions.ask_for, version.id, path)
        link.restore(path, version.place, version.size)

    async def confirm(self, name: str, really: bool, by: str = HOUSE) -> int:
        """Deletions that were held are carried out, or undone; how many."""
        term = await self._be_here()
        self._board.waves.forget(name)
        count = 0
        while (noticed := await term.write_once(actions.confirm_deletions, name, really, self._clock())).paths:
            self._noticed(noticed)
            count += len(noticed.paths)
        deed = self._deed(by, "confirm deletions" if really else "undo deletions", name, {"files": count})
        await term.write_once(record, deed)
        return count

    def happenings(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events: which files have changed, which entries run."""
        return self._happenings.heard()

    # Parts

    async def _require_apart(self, name: str, driver: str, options: dict[str, Any]) -> None:
        check_entry(name, driver, options)
        others = [entry for entry in await self._database.read(store_entries.entries) if entry.name != name]
        await asyncio.to_thread(require_apart, driver, options, others, str(self._folder))

    def _noticed(self, noticed: Noticed) -> None:
        for name in noticed.busy:
            if link := self.link(name):
                link.giving.wake(noticed.paths)
        self._happenings.tell_files(noticed.paths)

    async def _removed(self, name: str) -> None:
        """An entry is gone: workers can't ask it any more, and what they have to do may be other than before."""
        await self._board.tell_storages()
        self._board.try_again()
        self._happenings.tell_entry(name, "removed")

    async def _put_right(self) -> None:
        """What the supervisor could not be told: the database went away after it was written down."""
        for name in await self._processes.put_right(await self._be_here()):
            await self._put_away(name)
            self._errands.wake()

    async def _put_away(self, name: str) -> None:
        """A removed entry's process."""
        await self._processes.forget(name)
        await self._board.forget(name)

    async def _stopped(self, entry: Entry, reason: str) -> None:
        """By itself: the storage that it had when its process connected can't be used."""
        log.warning("entry_stopped", entry=entry.name, reason=reason)
        term = await self._be_here()
        async with self._changing:
            if await term.write_once(actions.stop_itself, entry, reason, self._clock()):
                await self._processes.want(entry.name, up=False)
                self._happenings.tell_entry(entry.name, "stopped")
            else:
                await self._processes.restart(entry.name)

    async def _turn(self, name: str, up: bool, by: str) -> None:
        entry = await self._database.read(actions.require_entry, name)
        if entry.up == up:
            state = "running" if up else "stopped"
            raise conflict(state, f"entry {name} is already {state}")
        term = await self._be_here()
        deed = self._deed(by, "start entry" if up else "stop entry", name)
        async with self._changing:
            await term.write_once(recorded, deed, actions.turn, name, up)
            await self._processes.want(name, up=up)
        await self._processes.settle(name, "start" if up else "stop")
        self._happenings.tell_entry(name, "active" if up else "stopped")

    def _deed(self, by: str, action: str, subject: str, details: dict[str, Any] | None = None) -> Deed:
        return Deed(by, self._clock(), action, subject, details)
