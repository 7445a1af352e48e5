"""In which namespace a request acts. The paths have none: `?namespace=` names one, else it is the caller's own."""

from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.http.parsing import check_accept, parameters
from undercroft.machinery.identity.entering import Enter, enter_named
from undercroft.machinery.operations import Request


class Doorway:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter

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
