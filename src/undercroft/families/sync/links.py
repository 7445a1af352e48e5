"""The server's end of one entry's worker: what it reports is written down, what it has to do is sent."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from undercroft.base.clock import Clock
from undercroft.database import Database, Transaction
from undercroft.families.sync import actions, kept, store, store_entries, wire
from undercroft.families.sync.actions import Noticed
from undercroft.families.sync.drivers import option
from undercroft.families.sync.reconcile import Delete, Move, Operation, Put, Seen
from undercroft.families.sync.store_entries import Entry

log = structlog.get_logger()

# So many operations are in a worker's hands at once.
UNDER_WAY = 2_000
PAGE = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 60.0
# What another file is in the way of waits until that has gone, which is under way.
LONGEST_BLOCKED = 1.0
AFTER_FAILURE = 1.0
"""Seconds until what is to do is asked for again after the database could not say."""
_KNOWN_PAGE = 5_000

OnNoticed = Callable[[Noticed], None]


class Link:
    def __init__(
        self,
        entry: Entry,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        database: Database,
        clock: Clock,
        on_noticed: OnNoticed,
        on_back: Callable[[], None],
    ) -> None:
        """`on_back`: the storage can be reached, or can be again; it has been looked at for the first time."""
        self.entry = entry
        self.name = entry.name
        self.transfers: dict[str, tuple[int, int]] = {}
        """Of large files: path → (bytes so far, of how many)."""
        self.scanned: wire.Scanned | None = None
        self.scanned_at: int | None = None
        self.failed: dict[str, str] = {}
        self.away = ""
        """Why its storage can't be reached at this moment."""
        self.dropped_to = kept.START
        """Past this one kept versions are dropped next."""
        self.busy = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._database = database
        self._clock = clock
        self._on_noticed = on_noticed
        self._on_back = on_back
        self._under_way: dict[str, int] = {}
        self._again: dict[str, tuple[float, int]] = {}
        self._gone: list[tuple[int, int]] = []
        self._present = 0
        self._came = 0
        self._ended = asyncio.Event()

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    async def serve(self, entries: list[Entry]) -> str | None:
        """Until the worker hangs up; why, where it said so."""
        try:
            return await self._serve(entries)
        finally:
            self._ended.set()

    async def ended(self) -> None:
        """Until all that the worker said is written down."""
        await self._ended.wait()

    async def _serve(self, entries: list[Entry]) -> str | None:
        try:
            await self._set_up(entries)
        except ConnectionError:  # it has ended meanwhile
            return None
        giving = asyncio.create_task(self._give_all())
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToServer)
        try:
            while (message := await wire.receive(self._reader, decoder)) is not None:
                if isinstance(message, wire.Trouble):
                    return message.reason
                await self._take(message)
        finally:
            giving.cancel()
            self._writer.close()
        return None

    def try_again(self) -> None:
        """What has failed, at once."""
        self._again.clear()
        self.busy.set()

    def rescan(self) -> None:
        self._writer.write(wire.packed(wire.Rescan()))

    def restore(self, path: str, place: str) -> None:
        self._writer.write(wire.packed(wire.Restore(path, place)))

    def drop(self, places: list[str]) -> None:
        self._writer.write(wire.packed(wire.Drop(places)))

    def hang_up(self) -> None:
        self._writer.close()

    # What the worker says

    async def _set_up(self, entries: list[Entry]) -> None:
        self._present = await self._database.read(store.count_present, self.name)
        storages = {entry.name: (entry.driver, entry.options) for entry in entries}
        kept_after = await self._database.read(kept.told_after, self.name)
        self._writer.write(wire.packed(wire.Setup(self.name, storages, self._present, kept_after)))
        after, last = "", False
        while not last:
            rows = await self._database.read(store.present_at, self.name, after, _KNOWN_PAGE)
            last = len(rows) < _KNOWN_PAGE
            after = rows[-1][0] if rows else ""
            self._writer.write(wire.packed(wire.Known(rows, last)))
            await self._writer.drain()
        await self._tell_kept(kept_after)

    async def _tell_kept(self, after: str) -> None:
        last = False
        while not last:
            places = await self._database.read(kept.known_places, self.name, after)
            last = len(places) < kept.PAGE
            after = places[-1] if places else after
            self._writer.write(wire.packed(wire.KnownKept(places, last)))
            await self._writer.drain()

    async def _take(self, message: Any) -> None:
        match message:
            case wire.Left(kept=left):
                await self._note_left(left)
            case wire.Dropped(places=places):
                await self._database.write(kept.forget, self.name, places)
            case wire.Report(seen=seen):
                await self._note(seen)
            case wire.Scanned():
                await self._note_scan(message)
            case wire.Done():
                await self._note_done(message)
            case wire.Away(reason=reason):
                self._note_away(reason)
            case wire.Moving():
                self.transfers[message.path] = (message.done, message.size)

    async def _note_left(self, left: list[kept.LeftKept]) -> None:
        for version in await self._database.write(kept.note_left, self.name, left):
            log.warning("kept_without_name", entry=self.name, fid=version.fid, restored_as=version.path)

    def _note_away(self, reason: str) -> None:
        if reason:
            log.warning("entry_away", entry=self.name, reason=reason)
        elif self.away:
            log.info("entry_back", entry=self.name)
        self.away = reason
        if not reason:
            self._on_back()

    async def _note(self, seen: list[Seen]) -> None:
        gone = [report for report in seen if report.content is None]
        here = [report for report in seen if report.content is not None]
        self._came += len(here) if self.scanned is None else 0
        hold = self._is_wave(len(gone) - len(here))
        now = self._clock()
        self._on_noticed(await self._database.write(_note_all, self.name, here, gone, now, hold))

    async def _note_scan(self, scanned: wire.Scanned) -> None:
        """All that is new has been reported before; as many as that may only have been renamed. A root in which nothing
        is left, however little that was, may be one whose disk is not mounted."""
        self._present = max(self._present, scanned.files)
        hold = self._is_wave(len(scanned.gone) - self._came) or not scanned.files
        self._came = 0
        now = self._clock()
        for at in range(0, len(scanned.gone), PAGE):
            gone = [Seen(path, None, "") for path in scanned.gone[at : at + PAGE]]
            self._on_noticed(await self._database.write(actions.note_seen, self.name, gone, now, hold=hold))
        await self._database.write(store_entries.replace_skipped, self.name, scanned.skipped, True)
        self._present = await self._database.read(store.count_present, self.name)
        if self.scanned is None:
            self._on_back()
        self.scanned, self.scanned_at = scanned, self._clock()
        self.busy.set()

    async def _note_done(self, done: wire.Done) -> None:
        for failed in done.failed:
            self._under_way.pop(failed.path, None)
            _, times = self._again.get(failed.path, (0.0, 0))
            pause = min(FIRST_PAUSE * 2 ** min(times, 20), LONGEST_BLOCKED if failed.by else LONGEST_PAUSE)
            self._again[failed.path] = (time.monotonic() + pause, times + 1)
            if not failed.expected:
                self.failed[failed.path] = failed.reason
            if failed.by:
                now = self._clock()
                self._on_noticed(await self._database.write(actions.make_way, failed.path, failed.by, now))
        noticed = None
        if done.settled or done.kept:
            now = self._clock()
            noticed = await self._database.write(actions.settle, self.name, done.settled, done.kept, now)
        for one in done.settled:
            for known in (self._under_way, self._again, self.failed, self.transfers):
                known.pop(one.seen.path, None)
        if noticed is not None:
            self._present = max(self._present, 1)
            self._on_noticed(noticed)
        self.busy.set()

    def _is_wave(self, gone: int) -> bool:
        """Whether too many have vanished within the last minute, with these."""
        now = self._clock()
        self._gone = [(at, count) for at, count in self._gone if now - at < actions.WAVE_LASTS]
        if gone > 0:
            self._gone.append((now, gone))
        total = sum(count for _, count in self._gone)
        return actions.is_wave(total, self._present, option(self.entry.driver, self.entry.options, "delete_share"))

    # What it is given

    async def _give_all(self) -> None:
        while not self._ended.is_set():  # a wait that ends in that very moment swallows its cancelling
            self.busy.clear()
            wait = await self._give_due()
            with contextlib.suppress(TimeoutError):  # wait_for would swallow a cancellation that comes with work
                async with asyncio.timeout(wait):
                    await self.busy.wait()

    async def _give_due(self) -> float:
        """Send all that is due; after how many seconds something may be due again."""
        asked = time.monotonic()
        try:
            while await self._give_some(asked):
                asked = time.monotonic()
        except Exception:
            log.exception("giving_failed", entry=self.name)
            return AFTER_FAILURE
        # Also what became due while the database was asked: it was not given.
        nearest = min((due for due, _ in self._again.values() if due > asked), default=asked + LONGEST_PAUSE)
        return max(0.01, nearest - time.monotonic())

    async def _give_some(self, asked: float) -> bool:
        """Send what is to do by this moment and not under way; whether there may be more."""
        room = UNDER_WAY - len(self._under_way)
        if room <= 0:
            return False
        waiting = {path for path, (due, _) in self._again.items() if due > asked}
        leave = frozenset(self._under_way.keys() | waiting)
        operations = await self._database.read(_to_give, self.name, leave, min(room, PAGE))
        do = wire.Do([], [], [])
        for operation in operations:
            if operation.path in self._under_way:
                continue
            self._under_way[operation.path] = operation.version
            match operation:
                case Put():
                    do.puts.append(operation)
                case Move():
                    self._under_way[operation.source] = operation.source_version
                    do.moves.append(operation)
                case Delete():
                    do.deletes.append(operation)
        if not (do.puts or do.moves or do.deletes):
            return False
        self._writer.write(wire.packed(do))
        await self._writer.drain()
        return True


def _note_all(tx: Transaction, entry: str, here: list[Seen], gone: list[Seen], now: int, hold: bool) -> Noticed:
    came = actions.note_seen(tx, entry, here, now)
    went = actions.note_seen(tx, entry, gone, now, hold=hold)
    return Noticed(came.busy | went.busy, came.paths + went.paths)


def _to_give(tx: Transaction, entry: str, leave: frozenset[str], limit: int) -> list[Operation]:
    wanted: list[str] = []
    after = ""
    while len(wanted) < limit:
        page = store.behind_of(tx, entry, after, PAGE + len(leave))
        wanted += [path for path in page if path not in leave]
        if len(page) < PAGE + len(leave):
            break
        after = page[-1]
    return actions.to_do(tx, entry, wanted[:limit], leave)
