"""A file's content for whoever asks over HTTP: which entry gives it, and closed whatever becomes of the request."""

import asyncio
import errno
import functools
from collections.abc import AsyncIterator

import structlog

from undercroft.base.refusals import Refusal, conflict, unavailable
from undercroft.database import Database
from undercroft.families.sync import store, store_entries
from undercroft.families.sync.drivers import LOCAL
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.listing import Listed
from undercroft.families.sync.opened import Opened, Wanted, open_content
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages import SharedLines
from undercroft.families.sync.storages.errors import SourceChanged, SourceLost, Vanished
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.threads import Threads

log = structlog.get_logger()

# Seconds: until a thread is free; until a storage has given the beginning; until it has given what comes next.
PATIENCE, OPENED_WITHIN, READ_WITHIN = 2.0, 30.0, 60.0
RETRY_AFTER = 5
_MOST_NAMED = 3


class Busy(Exception):
    """No thread is free to read there."""


class Contents:
    """One for all ways to it, which have the threads in common."""

    def __init__(self, database: Database, engine: Engine, threads: Threads | None = None) -> None:
        self._database = database
        self._engine = engine
        self._threads = threads or Threads()
        self._lines = SharedLines()

    async def open(self, listed: Listed, content: Content, start: int, end: int) -> "Body":
        """Of the newest version, the bytes from `start` to before `end`. `aclose` it.

        Raises Refusal: CONFLICT where nobody can give it, and why; UNAVAILABLE where it is a matter of moments.
        """
        busy: list[str] = []
        silent: list[str] = []
        for entry, wanted in await self._holding(listed, content):
            try:
                opened = await self._open(entry, wanted, start, end)
                return Body(self._threads, entry.name, opened, end - start)
            except Busy:
                if away := self._engine.away(entry):
                    silent.append(_said(entry, away))
                else:
                    busy.append(entry.name)
            except (SourceLost, OSError, Vanished) as error:
                silent.append(_said(entry, _words(error)))
            except (SourceChanged, UnicodeEncodeError):
                continue
        raise _refusal(busy, silent)

    async def _holding(self, listed: Listed, content: Content) -> list[tuple[Entry, Wanted]]:
        """Best first: who is not known to be away, is of this machine, and has a thread free."""
        path = listed.file.path
        entries = {entry.name: entry for entry in await self._database.read(store_entries.entries)}
        copies = (await self._database.read(store.load, [path]))[path].copies
        holding: list[tuple[Entry, Wanted]] = []
        for name in listed.uptodate:
            copy, entry = copies.get(name), entries.get(name)
            if entry and copy and copy.content is not None and copy.content.hash == content.hash:
                holding.append((entry, Wanted(path, copy.revision, content.size)))
        return sorted(holding, key=lambda one: self._rank(one[0]))

    def _rank(self, entry: Entry) -> tuple[bool, bool, bool]:
        return bool(self._engine.away(entry)), entry.driver != LOCAL, self._threads.are_taken(entry.name)

    async def _open(self, entry: Entry, wanted: Wanted, start: int, end: int) -> "Opened":
        """Raises Busy, and as `open_content`."""
        opening = self._threads.ask(
            entry.name, functools.partial(open_content, entry.place, self._lines, wanted, start, end)
        )
        try:
            await asyncio.wait({opening}, timeout=PATIENCE)
            if self._threads.take_back(entry.name, opening):
                raise Busy
            await asyncio.wait({opening}, timeout=OPENED_WITHIN)
            if opening.done():
                return opening.result()
        except asyncio.CancelledError:
            self._give_up(entry.name, opening)
            raise
        self._give_up(entry.name, opening)
        raise TimeoutError(errno.ETIMEDOUT, f"it did not answer within {OPENED_WITHIN:g} s")

    def _give_up(self, entry: str, opening: "asyncio.Future[Opened]") -> None:
        """What the thread still opens is nobody's."""
        if not self._threads.take_back(entry, opening):
            opening.add_done_callback(functools.partial(_close_unwanted, self._threads, entry))


class Body:
    """As many bytes as were promised, or it raises: then the connection is broken off."""

    def __init__(self, threads: Threads, entry: str, opened: Opened, size: int) -> None:
        self._threads = threads
        self._entry = entry
        self._opened: Opened | None = opened
        self._block = opened.first
        self._left = size
        self._reading: asyncio.Future[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        block, self._block = self._block or await self._read(), b""
        self._left -= len(block)
        return block

    async def _read(self) -> bytes:
        assert self._opened is not None
        reading = self._reading = self._threads.ask(self._entry, functools.partial(self._opened.read, self._left))
        await asyncio.wait({reading}, timeout=READ_WITHIN)
        if not reading.done():
            raise TimeoutError(errno.ETIMEDOUT, f"entry {self._entry} gave nothing for {READ_WITHIN:g} s")
        self._reading = None
        return reading.result()

    async def aclose(self) -> None:
        """It does not wait for a storage: what is being read there is closed after that."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if self._reading is None or self._threads.take_back(self._entry, self._reading):
            _close(self._threads, self._entry, opened)
        else:
            self._reading.add_done_callback(functools.partial(_close_after, self._threads, self._entry, opened))


def _close(threads: Threads, entry: str, opened: Opened) -> None:
    """In a thread as well: a drive may have a loop of its own."""
    threads.ask(entry, opened.close).add_done_callback(_note_close)


def _close_after(threads: Threads, entry: str, opened: Opened, reading: "asyncio.Future[bytes]") -> None:
    reading.exception()  # nobody wants to know
    _close(threads, entry, opened)


def _close_unwanted(threads: Threads, entry: str, opening: "asyncio.Future[Opened]") -> None:
    if opening.exception() is None:
        _close(threads, entry, opening.result())


def _note_close(closing: "asyncio.Future[None]") -> None:
    if error := closing.exception():
        log.info("content_not_closed", reason=str(error))


# How it says no


def _refusal(busy: list[str], silent: list[str]) -> Refusal:
    if busy:
        return unavailable(
            f"entry {busy[0]} has more to give at this moment than it can, or is slow; try again in {RETRY_AFTER} s",
            retry_after=RETRY_AFTER,
        )
    if silent:
        more = [] if len(silent) <= _MOST_NAMED else [f"{len(silent) - _MOST_NAMED} more don't give it either"]
        return conflict(
            "unreachable", f"this file can't be had at this moment: {'; '.join(silent[:_MOST_NAMED] + more)}"
        )
    return conflict("unreadable", "no entry has this file up to date at this moment")


def _said(entry: Entry, reason: str) -> str:
    return f"entry {entry.name} can't be {'read' if entry.driver == LOCAL else 'reached'} ({reason})"


def _words(error: Exception) -> str:
    """A lost source's are those of what lies behind it."""
    behind = error.__context__ if isinstance(error, SourceLost) else None
    return getattr(behind or error, "strerror", None) or str(behind or error)
