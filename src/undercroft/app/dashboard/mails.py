"""The pages of e-mails: what was captured or sent, one of them closely, its HTML in a frame that can do nothing."""

from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from undercroft.app.dashboard.reading import may_see, places_of
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
# Namespaces whose mails are merged into one list; who sees more of them pages through, or names one.
TOGETHER = 20
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
    namespace: str | None = None
    page: int = 1
    """Of the namespaces that one sees, TOGETHER a page."""


class Listed(NamedTuple):
    kept: Kept
    to: list[str]


class Chosen(NamedTuple):
    """Whose mails are shown: of `all` those of a page, from the first on, or of one."""

    all: list[str]
    """In order. Empty for who sees everything, and needs no pages."""
    shown: list[str] | None
    """None: everybody's."""
    page: int = 1
    pages: int = 1


class Mails:
    def __init__(self, database: Database, rendering: Rendering, post: Post) -> None:
        self._database = database
        self._rendering = rendering
        self._outgoing, self._capturing = post

    async def list_page(self, request: Request) -> Reply:
        query = request.query(MailsQuery)
        state = STATES.get(query.state or "")
        chosen = await self._database.read(_chosen, request.identity, query)
        mails = await self._database.read(_listed, chosen.shown, state, query.before)
        following = mails[SHOWN - 1].kept.id if len(mails) > SHOWN else None
        visible = await self._database.read(_visible, request.identity, mails[:SHOWN])
        here = {"state": query.state if state is not None else None, "namespace": query.namespace or None,
                "page": chosen.page if chosen.page > 1 else None}  # fmt: skip
        return await self._rendering.page(
            "mails.html",
            identity=request.identity,
            mails=visible,
            following=following,
            state=here["state"],
            states=list(STATES),
            namespace=here["namespace"],
            chosen=chosen,
            link=lambda **other: _link({**here, **other}),
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


def _link(query: dict[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return "/dashboard/mails" + ("?" + urlencode(given) if given else "")


def _chosen(tx: Transaction, identity: Identity, query: MailsQuery) -> Chosen:
    every = _namespaces(places_of(tx, identity))
    if query.namespace:
        seen = every is None or query.namespace in every or may_see(tx, identity, FAMILY, query.namespace)
        return Chosen(every or [], [query.namespace] if seen else [])
    if every is None:
        return Chosen([], None)
    pages = max(1, -(-len(every) // TOGETHER))
    page = min(max(1, query.page), pages)
    return Chosen(every, every[(page - 1) * TOGETHER : page * TOGETHER], page, pages)


def _listed(tx: Transaction, namespaces: list[str] | None, state: State | None, before: str | None) -> list[Listed]:
    kept = store.page(tx, namespaces, state, before, SHOWN + 1)
    recipients = store.recipients_of(tx, [one.id for one in kept])
    return [Listed(one, [each.address for each in recipients[one.id]]) for one in kept]


def _namespaces(places: Places | None) -> list[str] | None:
    """Those whose mails one may see; None for all."""
    if places is None or (FAMILY, None) in places:
        return None
    return sorted({name for family, name in places if family in (None, FAMILY) and name is not None})


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
