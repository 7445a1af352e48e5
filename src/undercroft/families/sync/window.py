"""Sync for pages: whoever looks comes through the API's door, and what is done there is done by the API's functions."""

from collections.abc import Awaitable
from typing import NamedTuple

from undercroft.base.refusals import invalid
from undercroft.database import Database
from undercroft.families.sync import actions, kept, listing, looking
from undercroft.families.sync.contents import Contents
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http.files import Files
from undercroft.families.sync.http.reading import Door, check_page
from undercroft.families.sync.listing import Listed, Wanted
from undercroft.families.sync.looking import Closely, Conflict, Sight, Transfer
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.operations import Reply, Request


class View(NamedTuple):
    entries: list[Sight]
    transfers: list[Transfer]
    conflicts: list[Conflict]
    files: int
    behind: int
    """Files of which a copy is."""
    is_here: bool
    """Whether this node runs the entries; transfers, last looks and what failed are told there alone."""


class Window:
    def __init__(self, database: Database, engine: Engine, contents: Contents, enter: Enter) -> None:
        """`enter`: the gate's."""
        self._database = database
        self._engine = engine
        self._door = Door(enter)
        self._files = Files(database, engine, contents, self._door)

    async def look(self, request: Request) -> View:
        """As all here, raises Refusal(FORBIDDEN) for whom the API lets in no more than that."""
        await self._door.admit(request)
        return View(
            await looking.see_entries(self._database, self._engine),
            looking.transfers(self._engine),
            await self._database.read(looking.conflicts),
            *await self._database.read(looking.count_files),
            self._engine.here.is_set(),
        )

    async def files(self, request: Request, offset: int, limit: int, wanted: Wanted) -> list[Listed]:
        await self._door.admit(request)
        check_page(offset, limit)
        return await self._database.read(listing.page, offset, limit, wanted)

    async def deleted(
        self, request: Request, after: str, limit: int, wanted: Wanted
    ) -> tuple[list[tuple[str, str]], str | None]:
        """As `listing.deleted`."""
        await self._door.admit(request)
        return await self._database.read(listing.deleted, after, limit, wanted)

    async def closely(self, request: Request, offset: int, limit: int) -> Closely:
        """The file of the path's `fid`, and of what is kept of it a page."""
        await self._door.admit(request)
        check_page(offset, limit)
        return await looking.see_closely(self._database, self._engine, request.path["fid"], offset, limit)

    async def content(self, request: Request) -> tuple[str, Reply]:
        """The file's path, and what GET /files/{fid}/content answers."""
        await self._door.admit(request)
        path = await self._database.read(kept.require_path, request.path["fid"])
        return path, await self._files.content(request)

    async def restore(self, request: Request, version: str) -> None:
        """Of the path's `fid`."""
        await self._door.admit(request)
        path, found = await self._database.read(kept.require_version, request.path["fid"], version)
        await self._engine.restore(path, found, request.identity.email)

    async def do(self, request: Request, name: str, deed: str) -> None:
        """`start`, `stop`, `restart`, `rescan`; and what was held: `delete` it everywhere or bring it `back`."""
        await self._door.admit(request)
        await self._database.read(actions.require_entry, name)
        await self._deed(name, deed, request.identity.email)

    def _deed(self, name: str, deed: str, by: str) -> Awaitable[object]:
        match deed:
            case "start":
                return self._engine.begin(name, by)
            case "stop":
                return self._engine.end(name, by)
            case "restart":
                return self._engine.restart(name, by)
            case "rescan":
                return self._rescan(name)
            case "delete" | "back":
                return self._engine.confirm(name, deed == "delete", by)
        raise invalid("form", "say what to do with the entry; begin again at /dashboard/files")

    async def _rescan(self, name: str) -> None:
        (await self._engine.running(name)).rescan()
