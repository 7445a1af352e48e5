"""In which namespace a request acts. The paths have none: `?namespace=` names one, else it is the caller's own."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.http.parsing import check_accept, parameters
from undercroft.machinery.identity.entering import Enter, enter_named
from undercroft.machinery.operations import Request

# Lists that are filtered may look at every row: so many at once, and the other readers are left to everybody else.
MOST_SEARCHES = 2


class Doorway:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        self._searches = asyncio.Semaphore(MOST_SEARCHES)

    def searching(self, conditions: Sequence[object]) -> AbstractAsyncContextManager[None]:
        """Around the reading of a list with these conditions."""
        return self._searches if conditions else nullcontext()

    async def into(self, request: Request) -> tuple[str, dict[str, str]]:
        """The namespace, and the query's parameters.

        Raises Refusal: FORBIDDEN in another team's namespace; "accept", "query".
        """
        check_accept(request)
        given = parameters(request) if request.query_string else {}
        named = given.get("namespace") or None
        writing = request.method not in ("GET", "HEAD", "OPTIONS", "DELETE")
        place = await enter_named(self._enter, request.identity, FAMILY, named, request.now, writing=writing)
        return place, given
