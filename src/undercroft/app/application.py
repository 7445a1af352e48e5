"""What a connection asks of the server behind it, and what it tells it of a request."""

import asyncio
from typing import NamedTuple, Protocol

from undercroft.machinery.operations import Reply


class Head(NamedTuple):
    """What is known of a request before its body."""

    method: str
    url: bytes
    headers: dict[bytes, bytes]
    """Names in lower case; values of repeated ones joined by a comma."""
    client: str | None
    """The peer's address; None for a Unix socket."""
    gone: "asyncio.Future[None] | None" = None
    """Done when the client has hung up."""


class Application(Protocol):
    max_body: int

    def most_body(self, head: Head) -> int:
        """The bytes that this operation takes."""

    async def admit(self, head: Head) -> Reply | None:
        """The refusal for a caller who may not send a body here, or None."""

    async def answer(self, head: Head, body: bytes) -> Reply: ...

    def refuse_unread(self, status: int, message: str, url: bytes) -> Reply:
        """For what could not be read as a request; `url` as far as it is known."""
