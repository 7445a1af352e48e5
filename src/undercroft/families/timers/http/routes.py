"""Operations on routes."""

import re

import msgspec

from undercroft.base.refusals import invalid
from undercroft.database import Database
from undercroft.families.timers import routes
from undercroft.families.timers.actions import FAMILY
from undercroft.families.timers.http import shapes
from undercroft.families.timers.http.reading import check_limit, decode
from undercroft.families.timers.model import RouteIn, check_namespace
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Target
from undercroft.machinery.deliveries.webhook import address_in
from undercroft.machinery.operations import Reply, Request, json_reply

_route = msgspec.json.Decoder(RouteIn)
_OK = json_reply(shapes.Done())
# Headers whose values are shown to nobody.
_SECRET = re.compile(r"auth|cookie|token|secret|key|passw|signature|credential", re.IGNORECASE)


class Routes:
    def __init__(self, database: Database, default_scheme: str) -> None:
        self._database = database
        self._default_scheme = default_scheme

    async def create(self, request: Request) -> Reply:
        route = decode(_route, request.body)
        secret = await self._database.write(routes.create_route, _db(request), route, self._default_scheme, request.now)
        return _done(secret)

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.PageQuery)
        limit = check_limit(query.limit)
        found = await self._database.read(targets.list_targets, FAMILY, _db(request), query.cursor or "", limit + 1)
        following = found[limit - 1].name if len(found) > limit else None
        return json_reply(shapes.RouteList([_detail(route) for route in found[:limit]], following))

    async def fetch(self, request: Request) -> Reply:
        query = request.query(shapes.DetailQuery)
        route = await self._database.read(routes.require_route, _db(request), request.path["id"])
        return json_reply(_detail(route) if query.detail else _plain(route))

    async def update(self, request: Request) -> Reply:
        id = request.path["id"]
        route = decode(_route, request.body)
        if route.id is not None and route.id != id:
            raise invalid("id_differs", f"the path is about {id!r}, the body about another route")
        named = msgspec.structs.replace(route, id=id)
        secret = await self._database.write(
            routes.update_route, _db(request), id, named, self._default_scheme, request.now
        )
        return _done(secret)

    async def delete(self, request: Request) -> Reply:
        query = request.query(shapes.ForceQuery)
        await self._database.write(
            routes.delete_route, _db(request), request.path["id"], request.now, force=query.force
        )
        return _OK

    async def pause(self, request: Request) -> Reply:
        await self._database.write(routes.pause_route, _db(request), request.path["id"], True, request.now)
        return _OK

    async def resume(self, request: Request) -> Reply:
        await self._database.write(routes.pause_route, _db(request), request.path["id"], False, request.now)
        return _OK


def _db(request: Request) -> str:
    db = request.path["db"]
    check_namespace(db)
    return db


def _done(secret: str | None) -> Reply:
    return json_reply(shapes.RouteDone("ok", secret)) if secret else _OK


def _plain(route: Target) -> shapes.RouteOut:
    return shapes.RouteOut(route.name, "REST", route.settings.shown["webhook_url"])


def _detail(route: Target) -> shapes.RouteDetail:
    settings, address = route.settings, address_in(route.settings)
    return shapes.RouteDetail(
        **msgspec.structs.asdict(_plain(route)),
        secret=address.secret is not None,
        headers={name: routes.MASKED if _SECRET.search(name) else value for name, value in address.headers.items()},
        timeout=settings.timeout,
        retries=None if settings.retries is None else list(settings.retries),
        concurrency=route.concurrency,
        rate=route.rate,
        paused=route.paused_at is not None,
        pause_reason=route.pause_reason,
        method=address.method,
    )
