"""Operations on e-mails: send one or many, list, look at one, cancel it."""

import asyncio
import time

import msgspec

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Database, Transaction
from undercroft.families.mail.http import rendering, shapes
from undercroft.families.mail.http.reading import Door, check_cursor, check_limit, decode, where
from undercroft.families.mail.http.weighing import is_long, weigh, weigh_pages
from undercroft.families.mail.model import (
    CAPTURED,
    MOST_IN_LIST,
    MOST_VARIABLES,
    QUEUED,
    Answer,
    EmailIn,
    Sending,
    answer,
    check_key,
    with_template,
)
from undercroft.families.mail.outcomes import First, Outcomes
from undercroft.families.mail.rate import Rate
from undercroft.families.mail.refusing import refuse
from undercroft.machinery.mail import actions, store, templates
from undercroft.machinery.mail.actions import Enqueued, Order, enqueue_many, new_id
from undercroft.machinery.mail.addresses import read_mailbox
from undercroft.machinery.mail.content import content_at_the_edge
from undercroft.machinery.mail.message import head
from undercroft.machinery.mail.model import LONGEST_BODY, STATES, Mail, check_draft
from undercroft.machinery.mail.sending import Outgoing
from undercroft.machinery.operations import Reply, Request, json_reply

_email = msgspec.json.Decoder(EmailIn)
_emails = msgspec.json.Decoder(list[EmailIn])
# Values of a list, e-mails and what is in them: counting is a hundred times as quick as decoding.
MOST_VALUES = 200 * MOST_IN_LIST


class Emails:
    def __init__(
        self, database: Database, door: Door, outgoing: Outgoing, sending: Sending, outcomes: Outcomes, rate: Rate
    ) -> None:
        self._database = database
        self._door = door
        self._outgoing = outgoing
        self._sending = sending
        self._outcomes = outcomes
        self._rate = rate
        self._longest = 2 * sending.rules.most_attached + 6 * LONGEST_BODY

    async def send(self, request: Request) -> Reply:
        header = check_key(request.header(b"idempotency-key"))
        if request.body[:64].lstrip()[:1] == b"[":
            return await self._send_many(request, header)
        if len(request.body) > self._longest:
            raise Refusal(Kind.TOO_LARGE, "too_large", f"a single e-mail takes {self._longest} bytes at the most")
        weigh(request.body)
        email = decode(_email, request.body)
        order = await self._order(request, email, header)
        self._rate.take(order.namespace, 1, request.now)
        if self._sending.capturing or order.mail.send_at is not None:
            enqueued = await self._database.batch(enqueue_many, order)
            if enqueued.fresh:
                return _said(enqueued.id, Answer(202, self._word(order), {}), details=email.details)
            return await self._say(enqueued, None, details=email.details)
        with self._outcomes.expected(order.id) as first:
            enqueued = await self._database.batch(enqueue_many, order)
            return await self._say(enqueued, first, details=email.details)

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.ListQuery)
        limit, before = check_limit(query.limit), check_cursor(query.cursor)
        namespace = await self._door.namespace(request, query.namespace, writing=False)
        state = None if query.state is None else STATES[query.state]
        if query.to is not None:
            address = read_mailbox("to", query.to).address
            found = await self._database.read(rendering.page_to, namespace, address, state, before, limit)
        else:
            found = await self._database.read(rendering.page, namespace, state, before, limit)
        return json_reply(found)

    async def fetch(self, request: Request) -> Reply:
        namespace = await self._namespace(request, writing=False)
        return json_reply(await self._database.read(rendering.email, namespace, request.path["id"]))

    async def source(self, request: Request) -> Reply:
        """The message as the relay gets it."""
        namespace = await self._namespace(request, writing=False)
        kept, mail = await self._database.read(actions.require, namespace, request.path["id"])
        return Reply(200, await self._outgoing.message_of(kept, mail), b"message/rfc822", rendering.AS_FILE)

    async def cancel(self, request: Request) -> Reply:
        namespace = await self._namespace(request, writing=False)
        kept = await self._database.write_once(actions.cancel, namespace, request.path["id"], request.now)
        return json_reply(shapes.Said("Email cancelled."), headers=_id_header(kept.id))

    # Parts of sending

    async def _order(self, request: Request, email: EmailIn, header: str | None) -> Order:
        key = check_key(email.idempotency_key)
        if key and header and key != header:
            raise invalid("key", "the header Idempotency-Key and the field idempotency_key differ; send one of them")
        namespace = await self._door.namespace(request, where(request, email.namespace), writing=True)
        if email.template is not None:
            email = await self._filled_in(email, email.template, namespace)
        elif email.variables:
            raise invalid("template", "variables go with a template: name it in the field template")
        if is_long(email):
            mail = await asyncio.to_thread(self._check, email, request.now)
        else:
            mail = self._check(email, request.now)
        owner = request.identity.email
        content = await content_at_the_edge(mail)
        return Order(new_id(), namespace, owner, mail, content, request.now, key or header, self._sending.terms)

    def _check(self, email: EmailIn, now: int) -> Mail:
        """Also that its head can be written: better refused now than found out by a courier."""
        mail = check_draft(email, self._sending.rules, now)
        head(mail, "", now)
        return mail

    async def _filled_in(self, email: EmailIn, name: str, namespace: str) -> EmailIn:
        if len(email.variables) > MOST_VARIABLES:
            raise invalid("template", f"a template takes {MOST_VARIABLES} variables at the most")
        template = None if "\x00" in name else await self._database.read(templates.find, namespace, name)
        if template is None:
            raise invalid("template", f"there is no template {name[:100]!r} in {namespace}; PUT it first")
        return with_template(email, templates.fill_in(template, email.variables))

    async def _send_many(self, request: Request, header: str | None) -> Reply:
        """All or none, in one transaction; not waited for. With a key each gets one of its own, KEY/0, KEY/1 …"""
        if request.body.count(b",") > MOST_VALUES:
            raise invalid("body", f"{MOST_IN_LIST} e-mails, of {MOST_VALUES} values together, are the most in one list")
        emails = decode(_emails, request.body)
        if not 0 < len(emails) <= MOST_IN_LIST:
            raise invalid("list", f"a list has 1 to {MOST_IN_LIST} e-mails; these are {len(emails)}")
        weigh_pages(emails)
        orders = []
        for position, email in enumerate(emails):
            own = None if email.idempotency_key or header is None else f"{header}/{position}"
            try:
                orders.append(await self._order(request, email, own))
            except Refusal as refusal:
                raise _in_list(position, refusal) from None
        for namespace in {order.namespace for order in orders}:
            self._rate.take(namespace, sum(order.namespace == namespace for order in orders), request.now)
        answers = await self._database.write(enqueue_all_or_none, orders)
        queued = [shapes.Queued(one.id, self._word(order)) for one, order in zip(answers, orders, strict=True)]
        return json_reply(shapes.ListSaid("Emails queued.", queued), 202)

    def _word(self, order: Order) -> str:
        return CAPTURED if self._sending.capturing and order.mail.send_at is None else QUEUED

    async def _say(self, enqueued: Enqueued, first: First | None, *, details: bool) -> Reply:
        """The relay's word where it comes in time; else what is known."""
        began = time.perf_counter()
        if enqueued.fresh and first is not None:
            await first.of(enqueued.going, self._sending.wait)
        waited = time.perf_counter() - began
        found = (await self._database.read(store.recipients_of, [enqueued.id]))[enqueued.id]
        try:
            known = answer([(one.address, one.state, one.reply) for one in found])
        except Refusal as refusal:
            return refuse(refusal)._replace(headers=_id_header(enqueued.id), waited=waited)
        return _said(enqueued.id, known, details=details)._replace(waited=waited)

    async def _namespace(self, request: Request, *, writing: bool) -> str:
        return await self._door.namespace(request, request.query(shapes.WhereQuery).namespace, writing=writing)


def enqueue_all_or_none(tx: Transaction, orders: list[Order]) -> list[Enqueued]:
    """Raises Refusal(INVALID, "list") that names the first one refused; then none is queued."""
    queued = []
    for position, one in enumerate(enqueue_many(tx, orders)):
        if isinstance(one, Refusal):
            raise _in_list(position, one)
        queued.append(one)
    return queued


def _in_list(position: int, refusal: Refusal) -> Refusal:
    if refusal.kind not in (Kind.INVALID, Kind.CONFLICT):
        return refusal
    return invalid("list", f"e-mail {position}: {refusal.message}")


def _said(id: str, known: Answer, *, details: bool) -> Reply:
    return json_reply(shapes.Said(known.message, known.refused, id if details else None), known.status, _id_header(id))


def _id_header(id: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-email-id", id.encode()),)
