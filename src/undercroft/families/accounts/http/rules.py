"""What accounts are handed by the assembly: the parts that they call, and what settings say."""

from collections.abc import Sequence
from typing import NamedTuple

from undercroft.database import Database
from undercroft.machinery.callers import Callers
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.limits import place_of
from undercroft.machinery.identity.logins import Logins
from undercroft.machinery.identity.passwords import Passwords
from undercroft.machinery.identity.resets import SendMail
from undercroft.machinery.identity.teams import Holds
from undercroft.machinery.operations import Reply, Request, json_reply

EMPTY = Reply(200, b"", b"text/plain; charset=utf-8")


class Parts(NamedTuple):
    database: Database
    gate: Gate
    passwords: Passwords
    logins: Logins
    callers: Callers
    send_mail: SendMail


class Rules(NamedTuple):
    public_signup: bool = False
    login_lasts: int = 7 * 86_400_000
    """ms."""
    most_logins: int = 100
    apps_per_user: int = 100
    holders: Sequence[Holds] = ()
    """Asked before a team is removed."""


def address_of(parts: Parts, request: Request) -> str | None:
    return parts.callers.address(request.client, request.headers)


def caller_place(parts: Parts, request: Request) -> str:
    return place_of(address_of(parts, request))


def line_of_json(value: object, status: int = 200) -> Reply:
    """JSON as the document's own server ends it: with a line end."""
    reply = json_reply(value, status)
    return reply._replace(body=reply.body + b"\n")
