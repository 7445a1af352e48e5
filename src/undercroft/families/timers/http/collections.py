"""Operations on many jobs of a collection."""

from collections.abc import Callable
from typing import Any

import msgspec

from undercroft.base.clock import END_OF_TIME
from undercroft.base.refusals import invalid
from undercroft.database import Database, Transaction
from undercroft.families.timers import routes, selecting
from undercroft.families.timers.http import shapes
from undercroft.families.timers.http.jobs import render
from undercroft.families.timers.http.reading import check_limit, decode, place, read_cursor, write_cursor
from undercroft.families.timers.model import CLOCK_SKEW
from undercroft.families.timers.selecting import Selected
from undercroft.machinery.deliveries.listing import Selection
from undercroft.machinery.deliveries.model import public_state
from undercroft.machinery.operations import Reply, Request, json_reply

_move = msgspec.json.Decoder(shapes.MoveIn)
_OK = json_reply(shapes.Done())
# Changed in one transaction; between two, other writers get their turn.
AT_ONCE = 500


class Collections:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.SelectQuery)
        where, limit = place(request), check_limit(query.limit)
        cursor = read_cursor(query.cursor, 2)
        wanted = selecting.select(-1, query.state, query.after, query.before)._replace(cursor=cursor)
        jobs, their_routes, following = await self._database.read(_list, where, wanted, query.route, limit)
        listed = [
            shapes.ListedJob(
                **msgspec.structs.asdict(render(job, their_routes[job.target])),
                state=public_state(job.state, job.attempts),
                attempts=job.attempts,
            )
            for job in jobs
        ]
        return json_reply(shapes.JobList(listed, write_cursor(following)))

    async def delete(self, request: Request) -> Reply:
        selected = await self._select(request)
        deleted = await self._in_turns(selecting.delete_selected, selected)
        return json_reply(shapes.Deleted("ok", deleted, len(selected) - deleted))

    async def move(self, request: Request) -> Reply:
        move = decode(_move, request.body)
        if (move.trigger_time is None) == (move.shift_ms is None):
            raise invalid("trigger_time", "give one of trigger_time and shift_ms, in milliseconds")
        if move.trigger_time is not None and not request.now - CLOCK_SKEW <= move.trigger_time <= END_OF_TIME:
            raise invalid("past", "trigger_time is in the past, or past the year 9999")
        if move.shift_ms is not None and abs(move.shift_ms) > END_OF_TIME:
            raise invalid("trigger_time", "shift_ms is out of range")
        selected = await self._select(request)
        moved = await self._in_turns(selecting.move_selected, selected, move.trigger_time, move.shift_ms, request.now)
        return json_reply(shapes.Moved("ok", moved))

    async def pause(self, request: Request) -> Reply:
        await self._database.write(selecting.pause_collection, place(request), True, request.now)
        return _OK

    async def resume(self, request: Request) -> Reply:
        await self._database.write(selecting.pause_collection, place(request), False, request.now)
        return _OK

    async def _select(self, request: Request) -> list[Selected]:
        query = request.query(shapes.SelectAllQuery)
        if not query.all and (query.state, query.after, query.before, query.route) == (None,) * 4:
            raise invalid(
                "selection", "nothing is selected; give state, after, before or route, or all=1 for every job"
            )
        wanted = selecting.select(-1, query.state, query.after, query.before)
        return await self._database.read(_collect, place(request), wanted, query.route)

    async def _in_turns(self, action: Callable[..., int], items: list[Any], *args: Any) -> int:
        done = 0
        for start in range(0, len(items), AT_ONCE):
            done += await self._database.write(action, items[start : start + AT_ONCE], *args)
        return done


def _for_route(tx: Transaction, db: str, wanted: Selection, route: str | None) -> Selection | None:
    """The selection narrowed to a route; None when there never was such a route."""
    if route is None:
        return wanted
    found = routes.find_any_route(tx, db, route)
    return wanted._replace(target=found.id) if found else None


def _list(tx: Transaction, where: tuple[str, str], wanted: Selection, route: str | None, limit: int) -> Any:
    narrowed = _for_route(tx, where[0], wanted, route)
    return selecting.list_jobs(tx, where, narrowed, limit) if narrowed else ([], {}, None)


def _collect(tx: Transaction, where: tuple[str, str], wanted: Selection, route: str | None) -> list[Selected]:
    narrowed = _for_route(tx, where[0], wanted, route)
    return selecting.collect(tx, where, narrowed) if narrowed else []
