"""Parts of parsing that several operations share, and the door that all come through."""

from typing import Any, NoReturn, TypeVar

import msgspec

from undercroft.base.refusals import invalid
from undercroft.families.sync.model import FAMILY
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.identity.model import ADMIN_TEAM
from undercroft.machinery.operations import Reply, Request, json_reply

T = TypeVar("T")

MOST_PER_PAGE = 10_000
FARTHEST = 2**53
# What is synchronised is the server's, not one team's: it is the admins' namespace, which they may share.
NAMESPACE = "@" + ADMIN_TEAM
VARY = ((b"vary", b"Accept"),)


class Door:
    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    async def admit(self, request: Request) -> None:
        writing = request.method not in ("GET", "HEAD")
        await self._enter(request.identity, FAMILY, NAMESPACE, request.now, writing=writing)


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """Raises Refusal(INVALID, "body")."""
    try:
        return decoder.decode(body)
    except RecursionError:
        _refuse("the JSON is nested too deeply")
    except (msgspec.DecodeError, ValueError) as error:
        _refuse(f"the body can't be read: {error}")


def check_page(offset: int, limit: int) -> None:
    if not 0 <= offset < FARTHEST:
        raise invalid("query", "offset is a whole number from 0")
    check_limit(limit, MOST_PER_PAGE)


def check_limit(limit: int, most: int) -> None:
    if not 0 <= limit <= most:
        raise invalid("query", f"limit is 0 to {most}")


def reply(value: Any, status: int = 200) -> Reply:
    return json_reply(value, status)


def _refuse(reason: str) -> NoReturn:
    raise invalid("body", reason) from None
