"""What is set going for many: firing a schedule, what failed, who is behind, estimates."""

from collections.abc import Callable

from undercroft.database import Database, Transaction
from undercroft.families.messaging import behind, estimates, failed, schedules
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.errors import missing
from undercroft.families.messaging.http import rendering
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.paging import base_url, envelope, shown, window
from undercroft.families.messaging.http.parsing import number_in_path
from undercroft.families.messaging.model import SEND, Behind
from undercroft.families.messaging.store import BEHIND, RUNS, SETS
from undercroft.families.messaging.tables import Window
from undercroft.machinery.operations import Reply, Request, json_reply

FAILED = f"{rendering.ROOT}/failed-tasks"
BEHIND_PATH = f"{rendering.ROOT}/behind-subscriptions"
RUNS_PATH = f"{rendering.ROOT}/runs"


class Work:
    def __init__(self, database: Database, doorway: Doorway, ways: Ways) -> None:
        self._database = database
        self._doorway = doorway
        self._ways = ways

    async def fire(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        run = await self._database.write_once(schedules.fire, place, number_in_path(request), request.now)
        # The contract's answer is empty; where the send can be watched stands in the head.
        return json_reply({}, 202, ((b"location", f"{base_url(request)}{RUNS_PATH}/{run}/".encode()),))

    async def runs(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked = await self._database.read(RUNS.page, place, where, [("purpose = :{}", SEND)])
        rows = shown(where, walked)
        results = [rendering.run(row) for row in rows]
        return json_reply(envelope(request, RUNS_PATH, where, walked, [row.id for row in rows], results))

    async def run(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(RUNS.find, place, number_in_path(request))
        if row is None or row.purpose != SEND:
            raise missing()
        return json_reply(rendering.run(row))

    async def failed_tasks(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked = await self._database.read(failed.page, place, where)
        rows, base = shown(where, walked), base_url(request)
        results = [rendering.failed_task(row, base) for row in rows]
        return json_reply(envelope(request, FAILED, where, walked, [row.id for row in rows], results))

    async def failed_task(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(failed.find, place, number_in_path(request))
        if row is None:
            raise missing()
        return json_reply(rendering.failed_task(row, base_url(request)))

    async def requeue(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        before: int | None = None
        while True:
            before = await self._database.write_once(failed.requeue, place, self._ways, before, request.now)
            if before is None:
                return json_reply({"requeued_failed_tasks": True}, 201)

    async def behind(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked, names = await self._database.read(_behind, place, where)
        rows, base = shown(where, walked), base_url(request)
        results = [rendering.behind(row, names, base) for row in rows]
        return json_reply(envelope(request, BEHIND_PATH, where, walked, [row.id for row in rows], results))

    async def behind_one(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(BEHIND.find, place, number_in_path(request))
        if row is None:
            raise missing()
        names = await self._database.read(_names, [row])
        return json_reply(rendering.behind(row, names, base_url(request)))

    async def find_behind(self, request: Request) -> Reply:
        return await self._begin(request, behind.start)

    async def estimate(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        found = await self._database.read(estimates.estimate, place, request.now)
        await self._database.write(estimates.put, place, found, request.now)
        return json_reply({"accepted": True, "task_id": rendering.task_id(request.now)}, 202)

    async def estimates(self, request: Request) -> Reply:
        """Reckoned at this moment."""
        place, _ = await self._doorway.into(request)
        found = await self._database.read(estimates.estimate, place, request.now)
        return json_reply({"results": [one._asdict() for one in found]})

    async def _begin(self, request: Request, start: Callable[[Transaction, str, int], int]) -> Reply:
        place, _ = await self._doorway.into(request)
        number = await self._database.write_once(start, place, request.now)
        return json_reply({"accepted": True, "task_id": rendering.task_id(number)}, 202)


def _behind(tx: Transaction, place: str, where: Window) -> tuple[list[Behind], dict[int, str]]:
    walked = BEHIND.page(tx, place, where, [])
    return walked, _names(tx, walked)


def _names(tx: Transaction, rows: list[Behind]) -> dict[int, str]:
    ids = {row.current_messageset for row in rows} | {row.expected_messageset for row in rows}
    return {id: one.short_name for id, one in SETS.find_all(tx, ids).items()}
