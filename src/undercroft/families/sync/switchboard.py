"""The links to the workers of this node: each entry's process connects to one socket in the data folder."""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from undercroft.base.clock import Clock, steady_clock
from undercroft.base.refusals import unavailable
from undercroft.database import Database
from undercroft.families.sync import store_entries, wire
from undercroft.families.sync.links import Link, OnNoticed
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Term
from undercroft.families.sync.waves import Waves

log = structlog.get_logger()

SOCKET = "sync.sock"
# What workers have said before they were hung up on is heard out for so long (s).
LAST_WORDS = 5.0
# Who asks for a link waits so long (s) for a process that is being started; from its start that takes one or two.
MET_WITHIN = 10.0
UNHEARD = (
    "what its process tells can't be written down: the server's log says why (link_failed). It is told again after a"
    " pause; a restart of the entry tells it at once"
)


class Switchboard:
    def __init__(
        self,
        database: Database,
        folder: Path,
        clock: Clock,
        on_noticed: OnNoticed,
        on_stopped: Callable[[Entry, str], Awaitable[None]],
        keep_bytes: int = 0,
    ) -> None:
        """`folder`: this user's alone; `on_stopped`: an entry, as it was served, has stopped by itself, and why;
        `keep_bytes`: the setting."""
        self.socket = folder / SOCKET
        self.links: dict[str, Link] = {}
        """By entry."""
        self.unheard: set[str] = set()
        """Whose worker was refused, and has not looked at everything since."""
        self.waves = Waves(database, steady_clock)
        self._database = database
        self._clock = clock
        self._on_noticed = on_noticed
        self._on_stopped = on_stopped
        self._keep_bytes = keep_bytes
        self._server: asyncio.Server | None = None
        self._term: Term | None = None
        self._meetings: set[asyncio.Task[Any]] = set()
        self._opened_at = 0.0
        self._parted: dict[str, float] = {}
        """When the last link of an entry has ended, since this was opened."""
        self._met = asyncio.Event()
        """Each time that a worker has connected it is another one."""

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self, term: Term) -> None:
        self._term = term
        self._opened_at = time.monotonic()
        self._parted.clear()
        self.socket.unlink(missing_ok=True)
        folder = os.open(self.socket.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:  # by its folder's descriptor: the path of a socket may have 107 bytes only
            path = f"/proc/self/fd/{folder}/{SOCKET}"
            self._server = await asyncio.start_unix_server(self._meet, path, start_serving=False)
        finally:
            os.close(folder)
        self.socket.chmod(0o600)
        await self._server.start_serving()  # only now, when whoever breaks this off can close it

    async def close(self) -> None:
        """What workers have said by now is written down."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.socket.unlink(missing_ok=True)
        for link in self.links.values():
            link.hang_up()
        if self._meetings:
            await asyncio.wait(self._meetings, timeout=LAST_WORDS)

    async def meet(self, name: str) -> Link:
        """The link to a worker that runs, or is about to. Raises Refusal(UNAVAILABLE) where it does not connect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MET_WITHIN):
                while (link := self.links.get(name)) is None or link.is_hung_up:
                    await self._met.wait()
                return link
        raise unavailable(f"the process of entry {name} is being started; try again")

    def away(self, name: str) -> str:
        """Why an entry that runs does nothing at this moment; "" where it does."""
        link = self.links.get(name)
        return (link.pulse.reason or link.away if link else "") or (UNHEARD if name in self.unheard else "")

    def missing_for(self, name: str) -> float:
        """How long (s) this entry's worker has not been there; 0 while it is, and where none is waited for."""
        if not self.is_open or name in self.links:
            return 0.0
        return time.monotonic() - self._parted.get(name, self._opened_at)

    async def forget(self, name: str) -> None:
        """The entry is removed. What its process still says is written down before what is known of it goes."""
        if link := self.links.get(name):
            link.hang_up()
            await link.ended()
        self.waves.forget(name)
        self.unheard.discard(name)

    def try_again(self) -> None:
        """A storage is back, or gone for good: what others have to do may be other than before."""
        for link in list(self.links.values()):
            link.giving.try_again()

    async def drop_old(self, now: int) -> None:
        """Kept versions whose time is over, a page of each entry's."""
        for link in list(self.links.values()):
            try:
                await link.drop_old(now)
            except Exception:  # one entry's fault keeps nothing of the others
                log.exception("versions_not_dropped", entry=link.name)

    def connect_anew(self, name: str) -> None:
        """An entry's options have changed: its worker begins anew with them."""
        if link := self.links.get(name):
            link.hang_up()

    async def tell_storages(self) -> None:
        """Workers read each other's storages: who has connected before one changed is told. That hangs up on nobody:
        whoever is in the middle of a first look at everything goes on with it."""
        entries = await self._database.read(store_entries.entries)
        for link in list(self.links.values()):
            link.tell_storages(entries)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A worker has connected."""
        task, server, term = asyncio.current_task(), self._server, self._term
        assert task is not None and term is not None
        self._meetings.add(task)
        task.add_done_callback(self._meetings.discard)
        try:
            entry = await self._welcome(reader)
            if entry and entry.up and self._server is server and not term.is_over:
                reason = await self._serve(entry, term, reader, writer)
                if reason is not None:
                    await self._on_stopped(entry, reason)
        except Exception as error:  # without the stack: whoever is refused comes again and again
            log.warning("link_refused", reason=str(error))
            if not writer.is_closing():  # a write would be an error of its own there
                writer.write(wire.packed(wire.Refused()))
        finally:
            writer.close()

    async def _welcome(self, reader: asyncio.StreamReader) -> Entry | None:
        """Whose worker this is. What the one before has said is written down first: it would come after what this one
        says. Raises ValueError for what is no worker of ours."""
        hello = await wire.receive(reader, msgspec.msgpack.Decoder(wire.Hello))
        entry = hello and await self._database.read(store_entries.find_entry, hello.entry)
        while entry and entry.name in self.links:
            await self.links[entry.name].ended()
            entry = await self._database.read(store_entries.find_entry, entry.name)
        return entry or None

    async def _serve(
        self, entry: Entry, term: Term, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str | None:
        """Until the worker has hung up; why, where it can't go on."""
        vanishings = self.waves.of(entry)
        on_back = functools.partial(self._back, entry.name)
        link = Link(entry, reader, writer, term, self._clock, vanishings, self._on_noticed, on_back)
        link.keep_at_most(self._keep_bytes)
        self.links[entry.name] = link
        self._met.set()
        self._met = asyncio.Event()
        try:
            return await link.serve()
        except Exception:
            self.unheard.add(entry.name)
            log.exception("link_failed", entry=entry.name)
        finally:
            if self.links.get(entry.name) is link:
                del self.links[entry.name]
                self._parted[entry.name] = time.monotonic()
        return None

    def _back(self, name: str) -> None:
        self.unheard.discard(name)
        self.try_again()
