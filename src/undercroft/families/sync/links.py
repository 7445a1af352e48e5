"""The server's end of one entry's worker: what it reports is written down. What it has to do is `giving`'s."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from undercroft.base.clock import Clock
from undercroft.base.refusals import unavailable
from undercroft.database import Transaction
from undercroft.families.sync import actions, kept, store, store_entries, store_versions, wire
from undercroft.families.sync.actions import Noticed
from undercroft.families.sync.drivers import for_others
from undercroft.families.sync.dropping import Dropping
from undercroft.families.sync.giving import Giving, HungUp
from undercroft.families.sync.operations import LeftKept
from undercroft.families.sync.pulse import Pulse
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Superseded, Term
from undercroft.families.sync.waves import Vanishings

log = structlog.get_logger()

_KNOWN_PAGE = 5_000
# A worker that is refused has so long (s) to hang up.
LAST_WORD = 5.0

OnNoticed = Callable[[Noticed], None]


class Link:
    def __init__(
        self,
        entry: Entry,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        term: Term,
        clock: Clock,
        vanishings: Vanishings,
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
        self.away = ""
        """Why its storage can't be reached at this moment."""
        self.pulse = Pulse(entry.name, lambda: self._say(wire.WhoIsThere()), lambda: self._is_set_up)
        self.giving = Giving(entry.name, term, self._send)
        self._dropping = Dropping(entry, term, self._say)
        self._reader = reader
        self._writer = writer
        self._term = term
        self._clock = clock
        self._on_noticed = on_noticed
        self._on_back = on_back
        self._vanishings = vanishings
        self._is_set_up = False
        self._to_say: list[wire.Message] = []
        self._ended = asyncio.Event()

    async def serve(self) -> str | None:
        """Until the worker hangs up; why, where it said so."""
        try:
            return await self._serve()
        except (ConnectionError, Superseded):
            return None
        except Exception:
            await self._refuse()
            raise
        finally:
            self._writer.close()
            self._ended.set()

    async def _refuse(self) -> None:
        """What the worker says meanwhile is not heard, but taken: else it might not hear us."""
        self._writer.write(wire.packed(wire.Refused()))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                while await self._reader.read(2**20):
                    pass

    async def ended(self) -> None:
        """Until all that the worker said is written down."""
        await self._ended.wait()

    async def _serve(self) -> str | None:
        beating = asyncio.create_task(self.pulse.keep())
        try:
            await self._set_up()
            giving = asyncio.create_task(self.giving.run())
            try:
                return await self._listen()
            finally:
                giving.cancel()
        finally:
            beating.cancel()

    async def _listen(self) -> str | None:
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToServer)
        self.pulse.expect()
        while (message := await wire.receive(self._reader, decoder)) is not None:
            self.pulse.heard()
            if isinstance(message, wire.Trouble):
                return message.reason
            await self._take(message)
            self.pulse.expect()
        return None

    def rescan(self) -> None:
        self._require_there()
        self._say(wire.Rescan())

    def restore(self, path: str, place: str, size: int) -> None:
        """It is written down that this is asked for: who is not there any more is told when it is back."""
        if not self._writer.is_closing():
            self._say(wire.Restore(path, place, size))

    async def drop_old(self, now: int) -> None:
        """Kept versions whose time is over, while its storage can be reached."""
        if not self.away and not self._writer.is_closing():
            await self._dropping.ask(now)

    def keep_at_most(self, bytes: int) -> None:
        """Of kept versions, unless its options say otherwise; 0: as much as there is room for."""
        self._dropping.usual = bytes

    @property
    def drops_early(self) -> str:
        """Why kept versions go before their time; "" where they don't."""
        return self._dropping.early(self._clock())

    def tell_storages(self, entries: list[Entry]) -> None:
        self._say(wire.Storages(_places(entries, self.name)))

    def hang_up(self) -> None:
        self._writer.close()

    @property
    def is_hung_up(self) -> bool:
        return self._writer.is_closing()

    def _require_there(self) -> None:
        """Raises Refusal(UNAVAILABLE)."""
        if self._writer.is_closing():
            raise unavailable(f"the process of entry {self.name} is being started anew; try again")

    def _say(self, message: wire.Message) -> None:
        """What is said before the worker is set up waits until then: it would take that for the end. Who has hung up is
        told of everything when he connects again."""
        if self._writer.is_closing():
            return
        if self._is_set_up:
            self._writer.write(wire.packed(message))
        else:
            self._to_say.append(message)

    async def _send(self, message: wire.Message) -> None:
        if self._writer.is_closing():  # a write would be an error of its own there
            raise HungUp
        try:
            self._writer.write(wire.packed(message))
            await self._writer.drain()
        except ConnectionError:
            raise HungUp from None

    async def _hand(self, message: wire.Message) -> None:
        """Before the worker is set up it only takes what we say."""
        self.pulse.expect()
        await self._send(message)
        self.pulse.heard()

    async def _set_up(self) -> None:
        entries = await self._term.read(store_entries.entries)
        present = await self._term.read(store.count_present, self.name)
        marks = {entry.name: entry.mark for entry in entries}
        kept_after = await self._term.read(kept.told_after, self.entry, self._clock())
        await self._hand(wire.Setup(self.name, _places(entries, self.name), present, marks, kept_after))
        after, last = "", False
        while not last:
            rows = await self._term.read(store.present_at, self.name, after, _KNOWN_PAGE)
            last = len(rows) < _KNOWN_PAGE
            after = rows[-1][0] if rows else ""
            await self._hand(wire.Known(rows, last))
        await self._tell_kept(kept_after)
        for asked in await self._term.read(store_versions.asked_for, self.name):
            await self._hand(wire.Restore(*asked))
        self._is_set_up = True
        for message in self._to_say:
            self._say(message)
        self._to_say.clear()

    async def _tell_kept(self, after: str) -> None:
        last = False
        while not last:
            places = await self._term.read(kept.known_places, self.name, after)
            last = len(places) < kept.PAGE
            after = places[-1] if places else after
            await self._hand(wire.KnownKept(places, last))

    # What the worker says

    async def _take(self, message: Any) -> None:
        match message:
            case wire.Left(kept=left):
                await self._note_left(left)
            case wire.Dropped():
                if await self._dropping.note(message) and not self.away:
                    await self._dropping.go_on(self._clock())
            case wire.Report():
                await self._note(message)
            case wire.Restored(place=place, seen=seen):
                await self._note_restored(place, seen)
            case wire.Skipped(skipped=skipped, anew=anew):
                await self._term.write(store_entries.note_skipped, self.name, skipped, anew)
            case wire.Scanned():
                self._note_scan(message)
            case wire.Done():
                await self._note_done(message)
            case wire.Away(reason=reason):
                self._note_away(reason)
            case wire.Here(stuck=stuck):
                self.pulse.answered(stuck)
            case wire.Moving():
                self.transfers[message.path] = (message.done, message.size)

    async def _note_left(self, left: list[LeftKept]) -> None:
        for version in await self._term.write(kept.note_left, self.name, left):
            log.warning("kept_without_name", entry=self.name, fid=version.fid, restored_as=version.path)

    def _note_away(self, reason: str) -> None:
        if reason:
            log.warning("entry_away", entry=self.name, reason=reason)
        elif self.away:
            log.info("entry_back", entry=self.name)
            self._on_back()
        self.away = reason

    async def _note(self, report: wire.Report) -> None:
        hold = await self._vanishings.are_held(report, is_first=self.scanned is None)
        gone = [seen for seen in report.seen if seen.content is None]
        here = [seen for seen in report.seen if seen.content is not None]
        now = self._clock()
        noticed = await self._term.write(_note_all, self.name, here, gone, now, hold)
        self._vanishings.note_written(report)
        self._on_noticed(noticed)

    async def _note_restored(self, place: str, seen: Seen | None) -> None:
        if seen is not None:
            self.transfers.pop(seen.path, None)
        now = self._clock()
        self._on_noticed(await self._term.write(actions.note_restored, self.name, place, seen, now))

    def _note_scan(self, scanned: wire.Scanned) -> None:
        self.giving.note_scan()
        self._vanishings.note_scan(scanned.seconds)
        if self.scanned is None:
            self._on_back()
        self.scanned, self.scanned_at = scanned, self._clock()

    async def _note_done(self, done: wire.Done) -> None:
        for path in (*(one.seen.path for one in done.settled), *(failed.path for failed in done.failed)):
            self.transfers.pop(path, None)
        self.giving.note_failed(done.failed)
        if blocked := [(failed.path, failed.by) for failed in done.failed if failed.by]:
            self._on_noticed(await self._term.write_once(actions.make_way, blocked, self._clock()))
        if done.settled or done.kept:
            now = self._clock()
            noticed = await self._term.write(actions.settle, self.name, done.settled, done.kept, now)
            self.giving.note_settled(done.settled)
            self._vanishings.note_back([one.seen.path for one in done.settled if one.seen.content is not None])
            self._on_noticed(noticed)
        if done.kept or done.failed:
            await self._dropping.weigh(done.kept, done.room, self._clock())


def _places(entries: list[Entry], own: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """All that its own needs; of the others what it takes to read from them."""
    return {
        entry.name: (entry.driver, entry.options if entry.name == own else for_others(entry.driver, entry.options))
        for entry in entries
    }


def _note_all(tx: Transaction, entry: str, here: list[Seen], gone: list[Seen], now: int, hold: bool) -> Noticed:
    came = actions.note_seen(tx, entry, here, now)
    went = actions.note_seen(tx, entry, gone, now, hold=hold)
    return Noticed(came.busy | went.busy, came.paths + went.paths)
