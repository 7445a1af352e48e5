"""Parts of parsing that several operations share."""

import re
from typing import Any, TypeVar

import msgspec

from undercroft.base.refusals import invalid
from undercroft.families.timers.model import check_namespace
from undercroft.families.timers.selecting import MOST_PER_PAGE
from undercroft.machinery.operations import Request

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Raises Refusal(INVALID, "body") for what is not strict JSON in UTF-8 of the decoder's type."""
    try:
        if not body.isascii():
            body.decode()  # what is kept verbatim is not looked into by the decoder
        return decoder.decode(body)
    except UnicodeDecodeError:
        raise invalid("body", "the body is not UTF-8") from None
    except RecursionError:
        raise invalid("body", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise invalid("body", f"the body can't be read: {error}") from None


def place(request: Request) -> tuple[str, str]:
    db, collection = request.path["db"], request.path["collection"]
    check_namespace(db, collection)
    return db, collection


def check_limit(limit: int) -> int:
    if not 1 <= limit <= MOST_PER_PAGE:
        raise invalid("query", f"limit is 1 to {MOST_PER_PAGE}")
    return limit


def read_cursor(cursor: str | None, parts: int) -> Any:
    """A cursor as we hand it out, whole numbers joined by dots, as a tuple of so many parts."""
    if cursor is None:
        return (-1,) * parts
    if not re.fullmatch(r"-?[0-9]{1,18}(\.-?[0-9]{1,18})*", cursor) or cursor.count(".") != parts - 1:
        raise invalid("query", "this cursor is not one of ours; leave it out to begin at the first page")
    return tuple(int(part) for part in cursor.split("."))


def write_cursor(cursor: Any) -> str | None:
    return None if cursor is None else ".".join(str(part) for part in cursor)
