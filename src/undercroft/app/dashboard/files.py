"""The pages of sync: entries and what is done with them, files and where they are, what of them can be had back."""

from typing import Literal
from urllib.parse import quote, urlencode

import msgspec

from undercroft.app.dashboard.forms import read_form, read_name
from undercroft.app.dashboard.rendering import Rendering
from undercroft.app.dashboard.words import plain
from undercroft.families.sync import MOST_COUNTED, Listed, Wanted, Window
from undercroft.machinery.operations import Reply, Request

PAGE = "/dashboard/files"
SHOWN = 50
# What is in a file is somebody else's: it is kept or opened elsewhere, and is nothing of ours.
_APART = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
)
_TYPE = b"application/octet-stream"

State = Literal["synced", "behind", "deleted"]
STATES: dict[State, str] = {"synced": "up to date", "behind": "behind", "deleted": "deleted"}


class FilesQuery(msgspec.Struct):
    part: Literal["live", "listed"] | None = None
    q: str = ""
    entry: str = ""
    state: Literal["", "synced", "behind", "deleted"] = ""
    offset: int = 0
    after: str = ""
    """Of deleted ones: those whose ids follow on this one."""


class OneQuery(msgspec.Struct):
    part: Literal["live"] | None = None
    offset: int = 0
    """So many kept versions are passed by."""
    asked: bool = False
    """For one of them to be put back, just now."""


class Files:
    def __init__(self, rendering: Rendering, sync: Window) -> None:
        self._rendering = rendering
        self._sync = sync

    async def show(self, request: Request) -> Reply:
        """GET /dashboard/files, and the parts of it that change: ?part=live, and ?part=listed with the files."""
        query = request.query(FilesQuery)
        live = {"view": await self._sync.look(request), "most": MOST_COUNTED} if query.part != "listed" else {}
        if query.part == "live":
            return await self._rendering.page("files_live.html", now=request.now, **live)
        listed = await self._listed(request, query)
        if query.part:
            return await self._rendering.page("files_listed.html", **listed)
        return await self._rendering.page("files.html", identity=request.identity, states=STATES, **live, **listed)

    async def file(self, request: Request) -> Reply:
        """GET /dashboard/files/{fid}, and the part of it that changes."""
        query = request.query(OneQuery)
        closely = await self._sync.closely(request, query.offset, SHOWN + 1)
        values = {
            "file": closely,
            "versions": closely.versions[:SHOWN],
            "before": max(0, query.offset - SHOWN) if query.offset else None,
            "further": query.offset + SHOWN if len(closely.versions) > SHOWN else None,
            "query": query,
            "now": request.now,
        }
        if query.part:
            return await self._rendering.page("file_live.html", **values)
        return await self._rendering.page("file.html", identity=request.identity, **values)

    async def content(self, request: Request) -> Reply:
        path, reply = await self._sync.content(request)
        if reply.stream is None:
            return reply._replace(headers=(*reply.headers, *_APART))
        name = plain(path.rpartition("/")[2])  # where it is saved, it can't pretend to be another either
        named = f"attachment; filename*=UTF-8''{quote(name, safe='')}".encode()
        others = [header for header in reply.headers if header[0] != b"content-disposition"]
        return reply._replace(content_type=_TYPE, headers=(*others, *_APART, (b"content-disposition", named)))

    async def restore(self, request: Request) -> Reply:
        await self._sync.restore(request, read_name(read_form(request).get("version")))
        return _to(f"{PAGE}/{quote(request.path['fid'], safe='')}?asked=true")

    async def do(self, request: Request) -> Reply:
        form = read_form(request)
        await self._sync.do(request, read_name(form.get("entry")), form.get("do", ""))
        return _to(PAGE)

    async def _listed(self, request: Request, query: FilesQuery) -> dict[str, object]:
        wanted = Wanted(query.entry or None, query.q or None, {"synced": False, "behind": True}.get(query.state))
        found: list[Listed] = []
        deleted: list[tuple[str, str]] = []
        following = None
        if query.state != "deleted":
            found = await self._sync.files(request, query.offset, SHOWN + 1, wanted)
        # Also beside the first page of a search for a name.
        if query.state == "deleted" or (query.q and not query.state and not query.offset):
            deleted, following = await self._sync.deleted(request, query.after, SHOWN, wanted)
        here = {"q": query.q, "entry": query.entry, "state": query.state, "offset": query.offset}
        return {
            "files": found[:SHOWN],
            "before": max(0, query.offset - SHOWN) if query.offset else None,
            "further": query.offset + SHOWN if len(found) > SHOWN else None,
            "deleted": deleted,
            "following": following,
            "query": query,
            "now": request.now,
            "link": lambda **other: link({**here, **other}),
        }


def link(query: dict[str, object]) -> str:
    given = {name: value for name, value in query.items() if value}
    return PAGE + ("?" + urlencode(given) if given else "")


def _to(page: str) -> Reply:
    return Reply(303, b"", b"text/plain", ((b"location", page.encode()), (b"cache-control", b"no-store")))
