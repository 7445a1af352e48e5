"""What a family offers over HTTP: operations, typed at both ends, from which routes and OpenAPI are made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from undercroft.base.refusals import invalid
from undercroft.machinery.identity.model import Identity

S = TypeVar("S", bound=msgspec.Struct)


class Access(Enum):
    """Who may call an operation; `app/permissions.py` says it of each. The server asks before it parses anything."""

    PUBLIC = "public"
    """Anybody; a token is not even looked at."""
    SIGNED_IN = "signed in"
    """Any token that is good."""
    PAGE = "page"
    """As SIGNED_IN, and a browser's session counts too; for a change only where a page of ours asked for it."""
    SCOPED = "scoped"
    """A user's token, or one whose scopes cover the family; and its namespace where the path has one, which has to be
    of the user's teams or of nobody yet."""
    SCOPED_WITHIN = "scoped within"
    """As SCOPED, where the namespace stands in the query or the body: the family asks the gate for it."""
    SCOPED_PAGE = "scoped page"
    """A token of that scope, or an admin's without scopes; an admin's browser session too."""
    ADMIN = "admin"
    """A member of the team `admin`, with a token that has no scopes."""


class Request:
    """One request, identified and with its body read."""

    __slots__ = ("body", "client", "gone", "headers", "identity", "method", "now", "path", "query_string")

    def __init__(  # noqa: PLR0913 - all that is known of a request
        self,
        method: str,
        path: dict[str, str],
        query_string: bytes,
        headers: dict[bytes, bytes],
        body: bytes,
        identity: Identity,
        now: int,
        gone: "asyncio.Future[None] | None" = None,
        client: str | None = None,
    ) -> None:
        self.method = method
        self.path = path
        """The path's parameters, percent-decoded once."""
        self.query_string = query_string
        self.headers = headers
        """Names in lower case; values of repeated ones joined by a comma."""
        self.body = body
        self.identity = identity
        self.now = now
        """When it arrived, in milliseconds UTC."""
        self.gone = gone
        """Done when the client has hung up; None where nobody can tell."""
        self.client = client
        """The peer's address, a proxy's where one stands between; None for a Unix socket."""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self, kind: type[S]) -> S:
        """The query string as a struct.

        Raises Refusal(INVALID, "query") for a value of another kind, and for a name that is unknown or there twice: a
        filter with a typing error in it would otherwise select everything.
        """
        try:
            pairs = parse_qsl(
                self.query_string.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict"
            )
        except (ValueError, UnicodeDecodeError) as error:
            raise invalid("query", f"the query string can't be read: {error}") from None
        if any("\x00" in value for _, value in pairs):
            raise invalid("query", "a query parameter may not hold the NUL character")
        given, known = dict(pairs), _parameters(kind)
        here = f"parameters here are: {', '.join(known)}" if known else "there are none here"
        strange = next((name for name in given if name not in known), None)
        if strange is not None or len(given) < len(pairs):
            wrong = "a parameter is there twice" if strange is None else f"there is no parameter {strange[:50]!r}"
            raise invalid("query", f"{wrong}; {here}")
        try:
            found = msgspec.convert(given, kind, strict=False)
        except ValueError as error:  # msgspec's own, and Python's about numbers of thousands of digits
            raise invalid("query", f"{error}; {here}") from None
        values = {name: getattr(found, known[name]) for name in given}
        if None in values.values():
            raise invalid("query", "leave a parameter out instead of writing null")
        unlike = next((name for name, value in values.items() if type(value) is int and _is_odd(given[name])), None)
        if unlike is not None:
            raise invalid("query", f"{unlike} is a whole number, written in digits; {here}")
        return found


def _is_odd(number: str) -> bool:
    """msgspec takes `1e3` and `2.0` for whole numbers."""
    return not number.removeprefix("-").isdecimal()


@cache
def _parameters(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Name in the query string → name of the attribute."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}


class Stream(Protocol):
    """What comes piece by piece. Whoever has one closes it in the end, also where nothing of it was asked for: it may
    hold a file, a connection."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Reply(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    stream: Stream | None = None
    """Sent instead of `body`; in chunks, unless `length` says how long it is."""
    waited: float = 0.0
    """Of the seconds that it took, those that its client had asked it to wait: they make no request a slow one."""
    length: int | None = None
    """Of all that `stream` gives, in bytes, where that is known."""


Run = Callable[[Request], Awaitable[Reply]]


class Operation(NamedTuple):
    method: str
    path: str
    """Segments in braces are parameters: `/job/{db}/{collection}`. No slash at the end; the server takes both forms."""
    run: Run
    summary: str
    verb: str
    """What it does, in a word; with the family it finds its row in the table of permissions."""
    takes: Any = None
    """The type of the JSON body, for OpenAPI; `run` decodes it."""
    query: type[msgspec.Struct] | None = None
    gives: Mapping[int, Any] = {}
    """Status → type of the JSON body (None: another content type or no body)."""
    description: str = ""
    namespace: str | None = None
    """The path parameter that names the namespace which a scope may be limited to."""
    content_types: tuple[str, ...] = ("application/json",)
    """Of the body that it takes."""
    most_body: int | None = None
    """The bytes of body that it takes, where that is less than the server's `max_body`."""
    also_anonymous: str | None = None
    """The name in the setting `anonymous` that opens it to loopback."""


_encoder = msgspec.json.Encoder()


def json_reply(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    return Reply(status, _encoder.encode(value), headers=headers)
