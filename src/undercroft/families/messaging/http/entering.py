"""In which namespace a request acts. The paths have none: `?namespace=` names one, else it is the caller's own."""

from collections.abc import Awaitable, Callable

from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.http.parsing import check_accept, parameters
from undercroft.machinery.identity import namespaces
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Request

Enter = Callable[..., Awaitable[None]]
"""The gate's: (identity, family, namespace, now, writing=…). Raises Refusal(FORBIDDEN)."""


class Doorway:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    async def into(self, request: Request) -> tuple[str, dict[str, str]]:
        """The namespace, and the query's parameters.

        Raises Refusal: FORBIDDEN in another team's namespace; "accept", "query".
        """
        check_accept(request)
        given = parameters(request) if request.query_string else {}
        identity: Identity = request.identity
        named = given.get("namespace")
        place = namespaces.check(named) if named else namespaces.default_for(identity, FAMILY)
        writing = request.method not in ("GET", "HEAD", "OPTIONS")
        await self._enter(identity, FAMILY, place, request.now, writing=writing)
        return place, given
