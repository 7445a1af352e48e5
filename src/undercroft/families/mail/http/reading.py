"""Parts of parsing that several operations share."""

import re
from typing import TypeVar

import msgspec

from undercroft.base.refusals import invalid
from undercroft.families.mail.http.shapes import WhereQuery
from undercroft.families.mail.model import FAMILY
from undercroft.machinery.identity.entering import Enter, enter_named
from undercroft.machinery.operations import Request

T = TypeVar("T")
MOST_PER_PAGE = 1_000
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")


class Door:
    """The namespace of a request that has it in its query or its body, or not at all."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    async def namespace(self, request: Request, given: str | None, *, writing: bool) -> str:
        return await enter_named(self._enter, request.identity, FAMILY, given, request.now, writing=writing)


def where(request: Request, named: str | None) -> str | None:
    """The namespace that the body, which named this one, or the query names."""
    asked = request.query(WhereQuery).namespace if request.query_string else None
    if asked is not None and named is not None and asked != named:
        raise invalid("namespace", "the query names another namespace than the body; name one")
    return asked if named is None else named


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Raises Refusal(INVALID, "body") for what is not strict JSON in UTF-8 of the decoder's type."""
    try:
        return decoder.decode(body)
    except RecursionError:
        raise invalid("body", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise invalid("body", f"the body can't be read: {error}") from None


def check_limit(limit: int) -> int:
    if not 1 <= limit <= MOST_PER_PAGE:
        raise invalid("query", f"limit is 1 to {MOST_PER_PAGE}")
    return limit


def check_cursor(cursor: str | None) -> str | None:
    """The id that the last page ended with."""
    if cursor is not None and not _ID.fullmatch(cursor):
        raise invalid("query", "this cursor is not one of ours; leave it out to begin at the first page")
    return cursor
