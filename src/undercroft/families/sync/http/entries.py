"""Operations on entries."""

import contextlib
from collections.abc import AsyncGenerator
from itertools import islice

import msgspec

from undercroft.base.clock import SECOND, wall_clock
from undercroft.base.refusals import Refusal, invalid
from undercroft.database import Database
from undercroft.families.sync import actions, store, store_entries, store_versions
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http import shapes
from undercroft.families.sync.http.reading import NAMESPACE, Door, check_limit, decode, reply
from undercroft.families.sync.looking import standing
from undercroft.families.sync.model import visible
from undercroft.families.sync.store_entries import Entry
from undercroft.machinery.identity.gate import check_still_in
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Reply, Request
from undercroft.machinery.processes.children import Figures

MOST_SHOWN = 100
MOST_CONFLICTS = 1_000
NOT_SEEN = "N/A"
_entry = msgspec.json.Decoder(shapes.EntryIn)
_options = msgspec.json.Decoder(shapes.OptionsIn)
_confirm = msgspec.json.Decoder(shapes.ConfirmIn)


class Entries:
    def __init__(self, database: Database, engine: Engine, door: Door) -> None:
        self._database = database
        self._engine = engine
        self._door = door

    async def list_all(self, request: Request) -> Reply:
        await self._door.admit(request)
        request.query(shapes.NoQuery)
        found = await self._database.read(store_entries.entries)
        return reply(shapes.EntryList([_shape(entry) for entry in found]))

    async def add(self, request: Request) -> Reply:
        given = decode(_entry, request.body)
        await self._engine.add(given.name, given.driver, given.options, request.identity.email)
        return reply(shapes.EntryOut(given.name, given.driver, visible(given.driver, given.options)), 201)

    async def fetch(self, request: Request) -> Reply:
        return reply(_shape(await self._find(request)))

    async def change(self, request: Request) -> Reply:
        entry = await self._find(request)
        given = decode(_options, request.body)
        if given.name not in (None, entry.name) or given.driver not in (None, entry.driver):
            raise invalid("body", "an entry's name and driver stay; remove it, and add one that has others")
        await self._engine.change(entry.name, given.options, request.identity.email)
        return reply(_shape(await self._find(request)))

    async def remove(self, request: Request) -> Reply:
        await self._find(request)
        if await self._engine.remove(request.path["name"], request.identity.email):
            return reply(shapes.Done())
        reason = "it is stopped for good; what is known of its files is still forgotten, page by page"
        return reply(shapes.UnderWay(reason=reason), 202)

    async def stats(self, request: Request) -> Reply:
        await self._door.admit(request)
        name = request.path["name"]
        seen, started = await self._engine.figures(name)
        return reply(shapes.EntryStats(info_of(seen, started, request.now), name, "ok", request.now / SECOND))

    async def status(self, request: Request) -> Reply:
        entry = await self._find(request)
        status, reason = await standing(self._engine, entry)
        return reply(shapes.EntryState(entry.name, status, request.now / SECOND, reason))

    async def start(self, request: Request) -> Reply:
        await self._door.admit(request)
        await self._engine.begin(request.path["name"], request.identity.email)
        return _done(request)

    async def stop(self, request: Request) -> Reply:
        await self._door.admit(request)
        await self._engine.end(request.path["name"], request.identity.email)
        return _done(request)

    async def restart(self, request: Request) -> Reply:
        await self._door.admit(request)
        await self._engine.restart(request.path["name"], request.identity.email)
        return _done(request)

    async def rescan(self, request: Request) -> Reply:
        entry = await self._find(request)
        (await self._engine.running(entry.name)).rescan()
        return _done(request)

    async def progress(self, request: Request) -> Reply:
        entry = await self._find(request)
        link = self._engine.link(entry.name)
        behind = await self._database.read(store.count_behind, entry.name)
        files = await self._database.read(store.count_present, entry.name)
        held = await self._database.read(store.count_held, entry.name)
        skipped = await self._database.read(store_entries.skipped, entry.name, MOST_SHOWN)
        count = await self._database.read(store_entries.count_skipped, entry.name)
        failed = dict(islice(link.giving.failed.items(), MOST_SHOWN)) if link else {}
        scanned = link.scanned_at / SECOND if link and link.scanned_at else None
        away = self._engine.away(entry) or None
        bytes = await self._database.read(store_versions.bytes_of, entry.name)
        early = (link.drops_early if link else "") or None
        return reply(
            shapes.Progress(entry.name, files, behind, held, count, skipped, failed, scanned, away, bytes, early)
        )

    async def confirm(self, request: Request) -> Reply:
        entry = await self._find(request)
        given = decode(_confirm, request.body)
        count = await self._engine.confirm(entry.name, given.confirm, request.identity.email)
        return reply(shapes.Confirmed("ok", count))

    async def transfers(self, request: Request) -> Reply:
        await self._door.admit(request)
        request.query(shapes.NoQuery)
        return reply(shapes.TransferList([
            shapes.Transfer(link.name, path, *how)
            for link in self._engine.links()
            for path, how in link.transfers.items()
        ]))  # fmt: skip

    async def conflicts(self, request: Request) -> Reply:
        await self._door.admit(request)
        limit = request.query(shapes.LimitQuery).limit
        check_limit(limit, MOST_CONFLICTS)
        found = await self._database.read(store_entries.conflicts, limit)
        return reply(shapes.ConflictList([shapes.ConflictOut(at / SECOND, *rest) for at, *rest in found]))

    async def happenings(self, request: Request) -> Reply:
        await self._door.admit(request)
        return Reply(200, b"", b"text/event-stream", ((b"cache-control", b"no-store"),), self._heard(request.identity))

    async def _heard(self, identity: Identity) -> AsyncGenerator[bytes, None]:
        """Who is not let in any more (his token, his user, his team's share are gone) hears nothing of what comes."""
        async with contextlib.aclosing(self._engine.happenings()) as lines:
            async for line in lines:
                try:
                    await self._database.read(check_still_in, identity, NAMESPACE, wall_clock())
                except Refusal:
                    return
                yield line

    async def _find(self, request: Request) -> Entry:
        await self._door.admit(request)
        return await self._database.read(actions.require_entry, request.path["name"])


def info_of(seen: Figures, started: int, now: int) -> shapes.StatsInfo:
    """`started` and `now` in milliseconds. What can't be seen is `N/A`. (contract §4)"""
    return shapes.StatsInfo(
        age=max(0, now - started) / SECOND,
        cpu=NOT_SEEN if seen.percent is None else seen.percent,
        create_time=NOT_SEEN if seen.created is None else seen.created,
        ctime=NOT_SEEN if seen.spent is None else spent_text(seen.spent),
        mem=NOT_SEEN if seen.memory is None else round(seen.memory, 1),
        mem_info1=NOT_SEEN if seen.rss is None else human_size(seen.rss),
        mem_info2=NOT_SEEN if seen.vms is None else human_size(seen.vms),
        started=started / SECOND,
    )


def spent_text(seconds: float) -> str:
    """`0:00.19`: minutes, seconds, hundredths. An hour is sixty minutes more."""
    minutes, hundredths = divmod(round(seconds * 100), 6_000)
    return f"{minutes}:{hundredths // 100:02}.{hundredths % 100:02}"


def human_size(size: int) -> str:
    """`18M`: whole, 1024-based."""
    for unit in ("B", "K", "M"):
        if size < 1_024:
            return f"{size}{unit}"
        size //= 1_024
    return f"{size}G"


def _done(request: Request) -> Reply:
    return reply(shapes.EntryState(request.path["name"], "ok", request.now / SECOND))


def _shape(entry: Entry) -> shapes.EntryOut:
    return shapes.EntryOut(entry.name, entry.driver, visible(entry.driver, entry.options))
