"""Operations on files."""

import re

import msgspec

from undercroft.base.clock import SECOND
from undercroft.base.refusals import invalid, not_found
from undercroft.database import Database
from undercroft.families.sync import kept, listing, names, store_versions
from undercroft.families.sync.contents import Contents
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http import shapes
from undercroft.families.sync.http.reading import Door, check_page, decode, reply
from undercroft.families.sync.model import mimetype
from undercroft.machinery.operations import Reply, Request

NOT_SATISFIABLE = 416
UNKNOWN_TYPE = "application/octet-stream"
_STATES = ("synced", "behind")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_restore = msgspec.json.Decoder(shapes.RestoreIn)


class Files:
    def __init__(self, database: Database, engine: Engine, contents: Contents, door: Door) -> None:
        self._database = database
        self._engine = engine
        self._contents = contents
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
        tag = f'"{content.hash}"'
        start, end, status = _range_of(request, tag, content.size)
        if status == NOT_SATISFIABLE:
            return Reply(status, b"", headers=((b"content-range", b"bytes */%d" % content.size),))
        headers = [(b"accept-ranges", b"bytes"), (b"content-disposition", b"attachment"), (b"etag", tag.encode())]
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, content.size)))
        kind = (mimetype(listed.file.path) or UNKNOWN_TYPE).encode()
        body = await self._contents.open(listed, content, start, end)
        return Reply(status, b"", kind, tuple(headers), body, length=end - start)

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


def _range_of(request: Request, tag: str, size: int) -> tuple[int, int, int]:
    """From, to, and the status. A range that begins past the end, or of the last 0 bytes, can't be met (416): who has
    all of a file asks so, and shall not get it again. One that can't be read, or of another version, gets all of this
    one, and so does any of nothing (RFC 9110, sections 14.1.2 and 13.1.5)."""
    is_of_this = request.header(b"if-range") in (None, tag)
    found = _RANGE.fullmatch(request.header(b"range") or "") if is_of_this else None
    if found is None or not (found[1] or found[2]):
        return 0, size, 200
    if not found[1]:
        last = int(found[2])
        return (max(0, size - last), size, 206 if size else 200) if last else (0, 0, NOT_SATISFIABLE)
    start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if size and start >= size and not (found[2] and int(found[2]) < start):
        return 0, 0, NOT_SATISFIABLE
    return (start, end, 206) if start < end else (0, size, 200)


def _shape(listed: listing.Listed) -> shapes.FileOut:
    file = listed.file
    size = 0 if file.content is None else file.content.size
    kind = mimetype(file.path) or UNKNOWN_TYPE
    return shapes.FileOut(listed.fid, file.path, size, file.owners, listed.uptodate, kind)
