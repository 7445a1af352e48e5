"""Operations on dead letters."""

import msgspec

from undercroft.base.refusals import invalid
from undercroft.database import Database
from undercroft.families.timers import dead
from undercroft.families.timers.http import shapes
from undercroft.families.timers.http.jobs import render
from undercroft.families.timers.http.reading import check_limit, decode, read_cursor, write_cursor
from undercroft.families.timers.model import check_namespace
from undercroft.families.timers.reasons import worded
from undercroft.machinery.deliveries import store
from undercroft.machinery.operations import Reply, Request, json_reply

_replay = msgspec.json.Decoder(shapes.ReplayIn)
AT_ONCE = 500


class Dead:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.DeadQuery)
        check_namespace(request.path["db"])
        letters, routes, following = await self._database.read(
            dead.list_dead,
            request.path["db"],
            query.collection,
            query.route,
            read_cursor(query.cursor, 3),
            check_limit(query.limit),
        )
        listed = [
            shapes.DeadJob(
                **msgspec.structs.asdict(render(letter, routes[letter.target])),
                collection=queue.name,
                attempts=letter.attempts,
                died_at=letter.due_at,
                reason=worded(letter.reason),
            )
            for queue, letter in letters
        ]
        return json_reply(shapes.DeadList(listed, write_cursor(following)))

    async def replay(self, request: Request) -> Reply:
        check_namespace(request.path["db"])
        wanted = decode(_replay, request.body)
        if wanted.ids is None and wanted.died_from is None and wanted.died_to is None:
            raise invalid("selection", 'say which: {"ids": […]}, or {"from": ms, "to": ms} for when they died')
        if wanted.route is not None and "\x00" in wanted.route:
            raise invalid("route", "route may not hold the NUL character")
        found = await self._database.read(
            dead.find_dead,
            request.path["db"],
            wanted.collection,
            wanted.route,
            None if wanted.ids is None else set(wanted.ids),
            wanted.died_from,
            wanted.died_to,
        )
        replayed = 0
        for start in range(0, len(found), AT_ONCE):
            replayed += await self._database.write(store.replay, found[start : start + AT_ONCE], request.now)
        return json_reply(shapes.Replayed("ok", replayed))
