"""Files: taken as the part `content` of a form, given at their URL, in parts too."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database
from undercroft.families.messaging import binaries
from undercroft.families.messaging.errors import Wrong, missing
from undercroft.families.messaging.http import rendering
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.paging import base_url, envelope, shown, window
from undercroft.families.messaging.http.parsing import File, number_in_path, read_body
from undercroft.families.messaging.model import Binary
from undercroft.families.messaging.store import BINARIES
from undercroft.machinery.operations import Reply, Request, json_reply

PATH = f"{rendering.ROOT}/binarycontent"
LONGEST_NAME = 100
# Up to this size (bytes) a file is answered whole, beyond it piece by piece.
_AT_ONCE = 1_024 * 1_024
# What a browser may show here; anything else could be a page with a script in it, on our own origin.
_HARMLESS = ("audio/", "video/", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf")


class Binaries:
    def __init__(self, database: Database, doorway: Doorway, folder: Path) -> None:
        self._database = database
        self._doorway = doorway
        self._folder = folder

    async def list_page(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked = await self._database.read(BINARIES.page, place, where, [])
        rows, base = shown(where, walked), base_url(request)
        results = [rendering.binary_content(row, base) for row in rows]
        return json_reply(envelope(request, PATH, where, walked, [row.id for row in rows], results))

    async def create(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        file = _file_in(request)
        while True:
            name = await self._keep(file, request.now)
            made = await self._database.write(
                binaries.create, place, name, _type_of(name), len(file.content), request.now
            )
            if made is not None:
                return json_reply(rendering.binary_content(made, base_url(request)), 201)

    async def fetch(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(binaries.require, place, number_in_path(request))
        return json_reply(rendering.binary_content(row, base_url(request)))

    async def replace(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = number_in_path(request)
        await self._database.read(binaries.require, place, id)
        file = _file_in(request)
        name = await self._keep(file, request.now)
        changed: Binary = await self._database.write(
            binaries.replace, place, id, name, _type_of(name), len(file.content)
        )
        return json_reply(rendering.binary_content(changed, base_url(request)))

    async def delete(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write(binaries.delete, place, number_in_path(request), request.now)
        return Reply(204, b"")

    async def download(self, request: Request) -> Reply:
        """For whoever has the URL: senders fetch it without a token."""
        name = request.path["name"]
        path = self._folder / name
        if not binaries.NAME.fullmatch(name) or not await asyncio.to_thread(path.is_file):
            raise missing()
        size = (await asyncio.to_thread(path.stat)).st_size
        part = binaries.range_of(request.header(b"range"), size)
        headers = (*_headers(name), (b"accept-ranges", b"bytes"))
        kind = _type_of(name).encode()
        if part is None:
            return Reply(416, b"", kind, (*headers, (b"content-range", b"bytes */%d" % size)))
        whole = part.end - part.start == size
        if not whole:
            headers = (*headers, (b"content-range", b"bytes %d-%d/%d" % (part.start, part.end - 1, size)))
        pieces = binaries.read_part(path, part)
        if part.end - part.start <= _AT_ONCE:
            return Reply(200 if whole else 206, b"".join(await asyncio.to_thread(list, pieces)), kind, headers)
        return Reply(200 if whole else 206, b"", kind, headers, stream=_stream(pieces))

    async def _keep(self, file: File, now: int) -> str:
        while True:
            name = binaries.file_name(file.name, now)
            try:
                await asyncio.to_thread(binaries.keep_file, self._folder, name, file.content)
            except FileExistsError:
                continue
            except OSError as error:
                raise Refusal(Kind.UNAVAILABLE, "unavailable", f"the file can't be kept: {error.strerror}") from None
            return name


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


def _headers(name: str) -> tuple[tuple[bytes, bytes], ...]:
    kept: tuple[tuple[bytes, bytes], ...] = (
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"public, max-age=31536000, immutable"),
    )
    if _type_of(name).startswith(_HARMLESS):
        return kept
    return (*kept, (b"content-disposition", b"attachment"))


async def _stream(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
