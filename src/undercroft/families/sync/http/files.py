"""Operations on files."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from undercroft.base.clock import SECOND
from undercroft.base.refusals import conflict, invalid, not_found
from undercroft.database import Database
from undercroft.families.sync import kept, listing, names, store, store_entries, store_versions
from undercroft.families.sync.drivers import LOCAL
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http import shapes
from undercroft.families.sync.http.reading import Door, check_page, decode, reply
from undercroft.families.sync.model import mimetype
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages import Place, Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged, Vanished
from undercroft.families.sync.storages.sources import is_still
from undercroft.families.sync.storages.storage import Source
from undercroft.machinery.operations import Reply, Request

NOT_SATISFIABLE = 416
UNKNOWN_TYPE = "application/octet-stream"
_BLOCK = 256 * 1_024
_STATES = ("synced", "behind")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_restore = msgspec.json.Decoder(shapes.RestoreIn)


class Files:
    def __init__(self, database: Database, engine: Engine, door: Door) -> None:
        self._database = database
        self._engine = engine
        self._door = door

    async def list_page(self, request: Request) -> Reply:
        await self._door.admit(request)
        query = request.query(shapes.FilesQuery)
        check_page(query.offset, query.limit)
        if query.state is not None and query.state not in _STATES:
            raise invalid("query", f"state is one of {', '.join(_STATES)}")
        behind = None if query.state is None else query.state == "behind"
        wanted = listing.Wanted(query.entry, query.q, behind)
        found = await self._database.read(listing.page, query.offset, query.limit, wanted)
        return reply(shapes.FileList([_shape(file) for file in found]))

    async def metadata(self, request: Request) -> Reply:
        return reply(_shape(await self._find(request)))

    async def id_of(self, request: Request) -> Reply:
        await self._door.admit(request)
        name = request.path["name"]
        return reply({name: names.fid_of(name)})

    async def content(self, request: Request) -> Reply:
        """The newest version, from an entry that has it: one of this machine rather than one elsewhere."""
        listed = await self._find(request)
        content = listed.file.content
        assert content is not None, "lists show no deleted files"
        start, end, status = _range_of(request, content.size)
        if status == NOT_SATISFIABLE:
            return Reply(status, b"", headers=((b"content-range", b"bytes */%d" % content.size),))
        opened = await self._open(listed, content, start, end)
        headers = [(b"accept-ranges", b"bytes"), (b"content-disposition", b"attachment")]
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, content.size)))
        kind = (mimetype(listed.file.path) or UNKNOWN_TYPE).encode()
        return Reply(status, b"", kind, tuple(headers), _blocks(opened, start, end), length=end - start)

    async def versions(self, request: Request) -> Reply:
        await self._door.admit(request)
        query = request.query(shapes.VersionsQuery)
        check_page(query.offset, query.limit)
        fid = request.path["fid"]
        await self._database.read(kept.require_path, fid)
        found = await self._database.read(store_versions.of_file, fid, query.offset, query.limit)
        return reply(shapes.VersionList([
            shapes.VersionOut(one.id, one.entry, one.size, one.hash, one.mtime / 1e9, one.replaced_at / SECOND)
            for one in found
        ]))  # fmt: skip

    async def restore(self, request: Request) -> Reply:
        await self._door.admit(request)
        fid = request.path["fid"]
        await self._database.read(kept.require_path, fid)
        wanted = decode(_restore, request.body).version
        path, version = await self._database.read(kept.require_version, fid, wanted)
        await self._engine.restore(path, version, request.identity.email)
        return reply(shapes.Done())

    async def _find(self, request: Request) -> listing.Listed:
        await self._door.admit(request)
        fid = request.path["fid"]
        found = await self._database.read(listing.find, fid)
        if found is None:
            raise not_found("unknown_file", f"file {fid} not found")
        return found

    async def _open(self, listed: listing.Listed, content: Content, start: int, end: int) -> "Opened":
        path = listed.file.path
        entries = {entry.name: entry for entry in await self._database.read(store_entries.entries)}
        copies = (await self._database.read(store.load, [path]))[path].copies
        holding = [entries[name] for name in listed.uptodate if name in entries and name in copies]
        for entry in sorted(holding, key=lambda entry: entry.driver != LOCAL):
            copy = copies[entry.name]
            if copy.content is None or copy.content.hash != content.hash:
                continue
            try:
                return await asyncio.to_thread(
                    _open, entry.place, Wanted(path, copy.revision, content.size), start, end
                )
            except (OSError, SourceChanged, UnicodeEncodeError, Vanished):
                continue
        raise conflict("unreadable", "no entry has this file up to date at this moment")


class Wanted(NamedTuple):
    path: str
    revision: str
    size: int


class Opened:
    def __init__(self, storage: Storage, source: Source, wanted: Wanted, most: int) -> None:
        """`most`: bytes that will be asked for. Raises SourceChanged where the source is not what is wanted."""
        self._storage = storage
        self._source = source
        self._wanted = wanted
        # Only a read shows whether a storage elsewhere can be reached, also where nothing is to be had.
        self.first = self._read(max(1, most))[:most]
        if not self.first and most:
            raise SourceChanged("it ended before its length")

    def read(self, most: int) -> bytes:
        """At least a byte of what is wanted: what is changed while it is sent is not told from that afterwards."""
        block = self._read(most)
        if not block:
            raise SourceChanged("it ended before its length")
        return block

    def _read(self, most: int) -> bytes:
        block = self._source.read(min(_BLOCK, most)) or b""
        if not is_still(self._source, self._wanted.revision, self._wanted.size):
            raise SourceChanged("it is another than it was")
        return block

    def close(self) -> None:
        self._source.close()
        self._storage.close()


def _open(place: Place, wanted: Wanted, start: int, end: int) -> Opened:
    storage = open_storage(place)
    try:
        source = storage.open_source(wanted.path)
        try:
            source.seek(start)
            return Opened(storage, source, wanted, end - start)
        except BaseException:
            source.close()
            raise
    except BaseException:
        storage.close()
        raise


def _range_of(request: Request, size: int) -> tuple[int, int, int]:
    """From, to, and the status. A range that begins past the end is answered with everything, the last 0 bytes with
    416 (RFC 9110, section 14.1.2)."""
    found = _RANGE.fullmatch(request.header(b"range") or "")
    if found is None or not (found[1] or found[2]):
        return 0, size, 200
    if not found[1]:
        last = int(found[2])
        return (max(0, size - last), size, 206 if size else 200) if last else (0, 0, NOT_SATISFIABLE)
    start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return (start, end, 206) if start < end else (0, size, 200)


async def _blocks(opened: Opened, start: int, end: int) -> AsyncIterator[bytes]:
    """As many bytes as were promised, or it raises: then the connection is broken off."""
    block = opened.first
    try:
        while start < end:
            start += len(block)
            yield block
            if start < end:
                block = await asyncio.to_thread(opened.read, end - start)
    finally:
        # Not in this thread: a drive may have a loop of its own.
        asyncio.get_running_loop().run_in_executor(None, opened.close)


def _shape(listed: listing.Listed) -> shapes.FileOut:
    file = listed.file
    size = 0 if file.content is None else file.content.size
    kind = mimetype(file.path) or UNKNOWN_TYPE
    return shapes.FileOut(listed.fid, file.path, size, file.owners, listed.uptodate, kind)
