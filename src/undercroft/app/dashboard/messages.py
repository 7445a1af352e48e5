"""The page of staged messaging: sends and how far they are, what failed, and a button to try that again."""

from undercroft.app.dashboard.forms import read_form, read_id
from undercroft.app.dashboard.reading import may_see, places_of
from undercroft.app.dashboard.rendering import Rendering
from undercroft.base.refusals import not_found
from undercroft.database import Database, Transaction
from undercroft.families import messaging
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Reply, Request

FAMILY = messaging.FAMILY
SHOWN = 30
# Namespaces whose rows are merged into one list.
MOST_NAMESPACES = 20


class Messages:
    def __init__(self, database: Database, rendering: Rendering, ways: messaging.Ways) -> None:
        self._database = database
        self._rendering = rendering
        self._ways = ways

    async def show(self, request: Request) -> Reply:
        """GET /dashboard/messages, and the part of it that changes: ?part=live."""
        sends, failures = await self._database.read(_look, request.identity)
        values = {"sends": sends, "failures": failures[:SHOWN], "more": len(failures) > SHOWN, "now": request.now}
        if request.query_string == b"part=live":
            return await self._rendering.page("messages_live.html", **values)
        return await self._rendering.page("messages.html", identity=request.identity, **values)

    async def replay(self, request: Request) -> Reply:
        id = read_id(read_form(request).get("id"))
        await self._database.write(_try_again, request.identity, id, self._ways, request.now)
        headers = ((b"location", b"/dashboard/messages"), (b"cache-control", b"no-store"))
        return Reply(303, b"", b"text/plain", headers)


Seen = tuple[list[messaging.Send], list[messaging.Failure]]


def _look(tx: Transaction, identity: Identity) -> Seen:
    places = places_of(tx, identity)
    namespaces = None
    if places is not None and (FAMILY, None) not in places:
        namespaces = [name for family, name in places if family in (None, FAMILY) and name is not None]
        namespaces = namespaces[:MOST_NAMESPACES]
    return messaging.recent_sends(tx, namespaces, SHOWN), messaging.recent_failures(tx, namespaces, SHOWN)


def _try_again(tx: Transaction, identity: Identity, id: int, ways: messaging.Ways, now: int) -> None:
    if not may_see(tx, identity, FAMILY, messaging.place_of_failure(tx, id)):
        raise not_found("failure", "this message is no longer among those that failed")
    messaging.try_again(tx, id, ways, now)
