"""Files: taken as the part `content` of a form, given at their URL, in parts too."""

import mimetypes
from collections.abc import AsyncGenerator

from undercroft.base.refusals import unavailable
from undercroft.database import Database
from undercroft.families.messaging import binaries
from undercroft.families.messaging.binaries import Kept, Part
from undercroft.families.messaging.errors import Wrong, missing
from undercroft.families.messaging.files import Files
from undercroft.families.messaging.http import rendering
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.paging import base_url, envelope, shown, window
from undercroft.families.messaging.http.parsing import File, number_in_path, read_body
from undercroft.families.messaging.model import Binary
from undercroft.families.messaging.store import BINARIES
from undercroft.machinery.operations import Reply, Request, json_reply

PATH = f"{rendering.ROOT}/binarycontent"
LONGEST_NAME = 100
# So much (bytes) is read at once; what is longer is sent piece by piece.
PIECE = 1_024 * 1_024
# What a browser may show here; anything else could be a page with a script in it, on our own origin.
_HARMLESS = ("audio/", "video/", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf")


class Binaries:
    def __init__(self, database: Database, doorway: Doorway, files: Files) -> None:
        self._database = database
        self._doorway = doorway
        self._files = files

    async def list_page(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked = await self._database.read(BINARIES.page, place, where, [])
        rows, base = shown(where, walked), base_url(request)
        results = [rendering.binary_content(row, base) for row in rows]
        return json_reply(envelope(request, PATH, where, walked, [row.id for row in rows], results))

    async def create(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        kept = await self._keep(_file_in(request), request.now)
        made = await self._database.write_once(binaries.create, place, kept, request.now)
        return json_reply(rendering.binary_content(made, base_url(request)), 201)

    async def fetch(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(binaries.require, place, number_in_path(request))
        return json_reply(rendering.binary_content(row, base_url(request)))

    async def replace(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = number_in_path(request)
        await self._database.read(binaries.require, place, id)
        kept = await self._keep(_file_in(request), request.now)
        changed: Binary = await self._database.write_once(binaries.replace, place, id, kept)
        return json_reply(rendering.binary_content(changed, base_url(request)))

    async def delete(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write_once(binaries.delete, place, number_in_path(request), request.now)
        return Reply(204, b"")

    async def download(self, request: Request) -> Reply:
        """For whoever has the URL: senders fetch it without a token."""
        file = await self._database.read(binaries.served, request.path["name"])
        part = binaries.range_of(request.header(b"range"), file.size)
        kind, headers = file.type.encode(), (*_headers(file), (b"accept-ranges", b"bytes"))
        if part is None:
            return Reply(416, b"", kind, (*headers, (b"content-range", b"bytes */%d" % file.size)))
        length = part.end - part.start
        whole = length == file.size
        if not whole:
            headers = (*headers, (b"content-range", b"bytes %d-%d/%d" % (part.start, part.end - 1, file.size)))
        first = await self._read(file, part.start, min(length, PIECE))
        status = 200 if whole else 206
        if length <= PIECE:
            return Reply(status, first, kind, headers)
        return Reply(status, b"", kind, headers, stream=self._pieces(file, part, first), length=length)

    async def _keep(self, file: File, now: int) -> Kept:
        name = binaries.file_name(file.name, now)
        kept = Kept(name, _type_of(name), len(file.content))
        await self._database.write_once(binaries.announce, kept, now)
        try:
            await self._files.keep(name, file.content, kept.type)
        except OSError as error:
            raise unavailable(f"the file can't be kept: {error.strerror or error}") from None
        return kept

    async def _read(self, file: Kept, start: int, length: int) -> bytes:
        try:
            return await self._files.read(file.name, start, length)
        except FileNotFoundError:
            raise missing() from None
        except OSError as error:
            raise unavailable(f"the file can't be read: {error.strerror or error}") from None

    async def _pieces(self, file: Kept, part: Part, first: bytes) -> AsyncGenerator[bytes, None]:
        yield first
        for start in range(part.start + PIECE, part.end, PIECE):
            yield await self._files.read(file.name, start, min(PIECE, part.end - start))


def _file_in(request: Request) -> File:
    """Raises Wrong in the contract's words. (§5 binarycontent)"""
    body = read_body(request)
    file = body.files.get("content")
    if file is None:
        given = isinstance(body.fields, dict) and body.fields.get("content")
        unlike = "The submitted data was not a file. Check the encoding type on the form."
        raise Wrong({"content": [unlike if given else "No file was submitted."]})
    if len(file.name) > LONGEST_NAME:
        long = f"Ensure this filename has at most {LONGEST_NAME} characters (it has {len(file.name)})."
        raise Wrong({"content": [long]})
    if not file.content:
        raise Wrong({"content": ["The submitted file is empty."]})
    return file


def _type_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _headers(file: Kept) -> tuple[tuple[bytes, bytes], ...]:
    """Kept elsewhere only for a short while: a file that is deleted is to be gone."""
    kept: tuple[tuple[bytes, bytes], ...] = ((b"cache-control", b"private, max-age=300"),)
    return kept if file.type.startswith(_HARMLESS) else (*kept, (b"content-disposition", b"attachment"))
