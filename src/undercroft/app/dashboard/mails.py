"""The pages of e-mails: what was captured or sent, one of them closely, its HTML in a frame that can do nothing."""

from typing import NamedTuple
from urllib.parse import quote

import msgspec

from undercroft.app.dashboard.reading import places_of
from undercroft.app.dashboard.rendering import HTML, Rendering
from undercroft.base.refusals import not_found
from undercroft.database import Database, Transaction
from undercroft.machinery.deliveries.overview import Places
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.mail import store
from undercroft.machinery.mail.model import STATES, Mail, State
from undercroft.machinery.mail.sending import Outgoing
from undercroft.machinery.mail.store import Kept, KeptRecipient
from undercroft.machinery.operations import Reply, Request

FAMILY = "mail"
SHOWN = 50
# Namespaces whose mails are merged into one list.
MOST_NAMESPACES = 20
# It loads nothing, runs nothing, sends nothing, and is of no origin: what is in a mail is somebody else's.
_FRAMED = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none';"
        b" frame-ancestors 'self'; sandbox",
    ),
)
_PRIVATE = ((b"cache-control", b"no-store"),)


class Post(NamedTuple):
    """What sends mail. `capturing`: it goes nowhere."""

    outgoing: Outgoing
    capturing: bool


class MailsQuery(msgspec.Struct):
    state: str | None = None
    before: str | None = None


class Listed(NamedTuple):
    kept: Kept
    to: list[str]


class Mails:
    def __init__(self, database: Database, rendering: Rendering, post: Post) -> None:
        self._database = database
        self._rendering = rendering
        self._outgoing, self._capturing = post

    async def list_page(self, request: Request) -> Reply:
        query = request.query(MailsQuery)
        state = STATES.get(query.state or "")
        mails = await self._database.read(_listed, request.identity, state, query.before)
        following = mails[SHOWN - 1].kept.id if len(mails) > SHOWN else None
        visible = await self._database.read(_visible, request.identity, mails[:SHOWN])
        return await self._rendering.page(
            "mails.html",
            identity=request.identity,
            mails=visible,
            following=following,
            state=query.state if state is not None else None,
            states=list(STATES),
            capturing=self._capturing,
            now=request.now,
        )

    async def show(self, request: Request) -> Reply:
        kept, mail = await self._require(request)
        recipients = await self._database.read(_recipients, kept.id)
        return await self._rendering.framing_page(
            "mail.html",
            identity=request.identity,
            kept=kept,
            mail=mail,
            recipients=recipients,
            now=request.now,
        )

    async def html(self, request: Request) -> Reply:
        """What the frame shows."""
        _, mail = await self._require(request)
        return Reply(200, (mail.html or "").encode(), HTML, _FRAMED)

    async def source(self, request: Request) -> Reply:
        kept, mail = await self._require(request)
        return Reply(200, await self._outgoing.message_of(kept, mail), b"text/plain; charset=utf-8", _PRIVATE)

    async def attachment(self, request: Request) -> Reply:
        _, mail = await self._require(request)
        number = request.path["number"]
        if not (number.isascii() and number.isdecimal()) or int(number[:4]) >= len(mail.attachments):
            raise not_found("attachment", "this e-mail has no such attachment")
        one = mail.attachments[int(number[:4])]
        named = f"attachment; filename*=UTF-8''{quote(one.name, safe='')}".encode()
        return Reply(200, one.content, b"application/octet-stream", (*_PRIVATE, (b"content-disposition", named)))

    async def _require(self, request: Request) -> tuple[Kept, Mail]:
        found = await self._database.read(_find, request.identity, request.path["id"])
        if found is None:
            raise not_found("email", "this e-mail is no longer there")
        return found


def _listed(tx: Transaction, identity: Identity, state: State | None, before: str | None) -> list[Listed]:
    kept = store.page(tx, _namespaces(places_of(tx, identity)), state, before, SHOWN + 1)
    recipients = store.recipients_of(tx, [one.id for one in kept])
    return [Listed(one, [each.address for each in recipients[one.id]]) for one in kept]


def _namespaces(places: Places | None) -> list[str] | None:
    """Those whose mails one may see; None for all."""
    if places is None or (FAMILY, None) in places:
        return None
    return [name for family, name in places if family in (None, FAMILY) and name is not None][:MOST_NAMESPACES]


def _find(tx: Transaction, identity: Identity, id: str) -> tuple[Kept, Mail] | None:
    found = store.find(tx, id)
    if found is None:
        return None
    places = places_of(tx, identity)
    return found if _covers(places, found[0].namespace) else None


def _visible(tx: Transaction, identity: Identity, mails: list[Listed]) -> list[Listed]:
    places = places_of(tx, identity)
    return [one for one in mails if _covers(places, one.kept.namespace)]


def _covers(places: Places | None, namespace: str) -> bool:
    """The house's own mail, in the namespace without a name, is for whoever sees everything: it makes passwords."""
    if places is None:
        return True
    return namespace != "" and any(family in (None, FAMILY) and name in (None, namespace) for family, name in places)


def _recipients(tx: Transaction, id: str) -> list[KeptRecipient]:
    return store.recipients_of(tx, [id])[id]
