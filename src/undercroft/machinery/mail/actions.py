"""What can be done with mails; one transaction's worth of meaning each, also within another family's transaction."""

from typing import NamedTuple

import msgspec

from undercroft.base.ids import sortable_id
from undercroft.base.refusals import Kind, Refusal, conflict, not_found
from undercroft.database import Transaction
from undercroft.machinery.deliveries import store as deliveries
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.hooks import Settled
from undercroft.machinery.deliveries.model import (
    PENDING_LIMIT,
    Delivery,
    NewDelivery,
    Result,
    TargetSettings,
)
from undercroft.machinery.deliveries.model import State as DeliveryState
from undercroft.machinery.mail import keys, store, suppressions
from undercroft.machinery.mail.addresses import key_of
from undercroft.machinery.mail.content import Content, content_of
from undercroft.machinery.mail.keys import Key
from undercroft.machinery.mail.model import WAITING, Mail, Recipient, State, recipients_of, summary
from undercroft.machinery.mail.schedule import Terms
from undercroft.machinery.mail.sending import CAPTURED, SUPPRESSED, Addressed
from undercroft.machinery.mail.store import Begin, Kept, New, Told

FAMILY = "mail"
QUEUE = "emails"
TRANSPORT = "smtp"
RELAY = "relay"
"""The target of a namespace's mail: each its own, so that nobody waits behind another's."""

TOLD = "mail told"
"""The topic on which committed transactions tell of (mail, position, state, reply): store.Told."""

# Seconds for all of an attempt; the transport gives up sooner, by what the relay owes an answer to.
TIMEOUT = LONGEST_TIMEOUT


class Order(NamedTuple):
    """A mail to be sent, for whom, and under which idempotency key if any. `id` is made by who asks, see `new_id`."""

    id: str
    namespace: str
    owner: str
    mail: Mail
    content: Content
    now: int
    key: str | None = None
    terms: Terms | None = None
    """Those of the namespace's mail from now on; None: as they are."""


class Enqueued(NamedTuple):
    """`id` is the earlier mail's where the key was used before: then it is not `fresh`."""

    id: str
    fresh: bool
    going: int = 0
    """To so many it goes; suppressed ones are not among them."""


new_id = sortable_id
_encode = msgspec.json.encode
_addressed = msgspec.json.Decoder(Addressed)


def enqueue(tx: Transaction, namespace: str, owner: str, mail: Mail, now: int, terms: Terms | None = None) -> str:
    """Send this mail when the transaction is durable; its id. Raises Refusal where all recipients are suppressed."""
    [answer] = enqueue_many(tx, [Order(new_id(), namespace, owner, mail, content_of(mail), now, terms=terms)])
    if isinstance(answer, Refusal):
        raise answer
    return answer.id


def enqueue_many(tx: Transaction, orders: list[Order]) -> list[Enqueued | Refusal]:
    """Each kept, with a delivery for each of its recipients; or why not.

    One that is there by its id is left as it is: the answer to a commit was lost on the line, and this is run again.
    """
    suppressed = suppressions.among(
        tx, {(order.namespace, key_of(one.address)) for order in orders for one in recipients_of(order.mail)}
    )
    known = _known_keys(tx, orders)
    answers: dict[int, Enqueued | Refusal] = {}
    fresh: list[tuple[int, Order]] = []
    for position, order in enumerate(orders):
        earlier = known.get((order.namespace, order.key)) if order.key else None
        if earlier is not None and earlier[1] != order.id:
            answers[position] = _as_before(order, *earlier)
        elif suppressed and _all_suppressed(order, suppressed):
            answers[position] = _refuse_suppressed(order)
        else:
            fresh.append((position, order))
    put_in = _take_keys(tx, fresh, answers)
    if put_in:
        going = _put_in(tx, put_in, suppressed)
        answers |= {position: Enqueued(one.id, True, going[one.id]) for position, one in fresh if one.id in going}
    return [answers[position] for position in range(len(orders))]


def cancel(tx: Transaction, namespace: str, id: str, now: int) -> Kept:
    """Whom it has not gone to by now, it does not go to any more. Is run by `write_once`.

    Raises Refusal: NOT_FOUND, CONFLICT ("in_flight") while it is on its way to one of them, CONFLICT ("ended") where
    there is nothing left to cancel.
    """
    kept, _ = require(tx, namespace, id)
    recipients = store.recipients_of(tx, [id])[id]
    waiting = [row for row in _deliveries_of(tx, kept, recipients) if row.state < PENDING_LIMIT]
    if not waiting:
        raise conflict("ended", f"there is nothing left to cancel: the mail {id} has had its end")
    if len(deliveries.delete(tx, [deliveries.seen(row) for row in waiting])) < len(waiting):
        raise conflict("in_flight", f"the mail {id} is on its way at this moment; try again when that has ended")
    told = [Told(id, _position_of(row), State.CANCELLED, "cancelled") for row in waiting]
    store.note_told(tx, told, now)
    tx.tell(TOLD, told)
    return require(tx, namespace, id)[0]


def require(tx: Transaction, namespace: str, id: str) -> tuple[Kept, Mail]:
    """Raises Refusal(NOT_FOUND, "unknown_email"), also of one in another namespace."""
    found = store.find(tx, id)
    if found is None or found[0].namespace != namespace:
        raise not_found("unknown_email", f"there is no mail {id[:50]!r} in {namespace}")
    return found


def deliveries_of(tx: Transaction, kept: Kept) -> dict[int, Delivery]:
    """By the position of the recipient; those that are not yet forgotten."""
    return {_position_of(row): row for row in _deliveries_of(tx, kept, store.recipients_of(tx, [kept.id])[kept.id])}


def settled(tx: Transaction, those: list[Settled]) -> None:
    """The hook of whoever owns these deliveries: what became of each is written beside its recipient."""
    told = [Told(_addressed.decode(one.delivery.body).mail, _position_of(one.delivery), *_end(one)) for one in those]
    store.note_told(tx, told, max(one.outcome.started_at + one.outcome.took_ms for one in those))
    tx.tell(TOLD, told)


def _end(one: Settled) -> tuple[State, str | None]:
    outcome = one.outcome
    if outcome.result is Result.DONE:
        return (State.CAPTURED, None) if outcome.reply == CAPTURED else (State.SENT, outcome.reply)
    if one.verdict.state is not DeliveryState.DEAD:
        return State.DEFERRED, outcome.error
    if outcome.error == SUPPRESSED:
        return State.SUPPRESSED, SUPPRESSED
    return (State.REFUSED if outcome.result is Result.HOPELESS else State.FAILED), one.verdict.reason


def _known_keys(tx: Transaction, orders: list[Order]) -> keys.Known:
    wanted = {(order.namespace, order.key) for order in orders if order.key}
    return keys.find(tx, wanted, orders[0].now) if wanted else {}


def _as_before(order: Order, digest: str, mail: str) -> Enqueued | Refusal:
    if digest != order.content.digest:
        return conflict("key_used", f"the idempotency key {order.key!r} was used for another mail within a day")
    return Enqueued(mail, False)


def _all_suppressed(order: Order, suppressed: set[tuple[str, str]]) -> bool:
    return all((order.namespace, key_of(one.address)) in suppressed for one in recipients_of(order.mail))


def _refuse_suppressed(order: Order) -> Refusal:
    first = order.mail.to[0].address
    return Refusal(Kind.INVALID, "suppressed", f"no mail goes to {first}: it is on the suppression list")


def _take_keys(tx: Transaction, fresh: list[tuple[int, Order]], answers: dict[int, Enqueued | Refusal]) -> list[Order]:
    """Those of these whose keys were free, or who have none; the others are answered as before."""
    wanted = {
        (order.namespace, order.key): Key(order.namespace, order.key, order.content.digest, order.id)
        for _, order in reversed(fresh)
        if order.key
    }
    taken = keys.take(tx, list(wanted.values()), fresh[0][1].now) if wanted else set()
    lost = set(wanted) - taken
    known: keys.Known = {place: (key.digest, key.mail) for place, key in wanted.items() if place in taken}
    known |= keys.find(tx, lost, fresh[0][1].now) if lost else {}
    put_in = []
    for position, order in fresh:
        digest_and_mail = known.get((order.namespace, order.key)) if order.key else None
        if digest_and_mail is not None and digest_and_mail[1] != order.id:
            answers[position] = _as_before(order, *digest_and_mail)
        else:
            answers[position] = Enqueued(order.id, True)
            put_in.append(order)
    return put_in


def _put_in(tx: Transaction, orders: list[Order], suppressed: set[tuple[str, str]]) -> dict[str, int]:
    """Mail → to how many it goes."""
    now = orders[0].now
    lines = _lines(tx, orders, now)
    new = [_new(order, suppressed) for order in orders]
    fresh = store.insert(tx, new)
    sent = [
        delivery
        for order, one in zip(orders, new, strict=True)
        if order.id in fresh
        for delivery in _deliveries_for(order, one, lines)
    ]
    if sent:
        deliveries.insert(tx, sent, now)
    return {one.kept.id: sum(begin.state is not State.SUPPRESSED for begin in one.recipients) for one in new}


def _new(order: Order, suppressed: set[tuple[str, str]]) -> New:
    mail = order.mail
    begin = State.CAPTURED if _is_captured(order) else State.QUEUED
    recipients = [
        Begin(one, State.SUPPRESSED, SUPPRESSED) if (order.namespace, key_of(one.address)) in suppressed
        else Begin(one, begin) for one in recipients_of(mail)
    ]  # fmt: skip
    state = summary(one.state for one in recipients)
    kept = Kept(
        order.id, order.namespace, order.owner, mail.sender.address, mail.subject, state, order.now, mail.send_at
    )
    return New(kept, order.content.text, recipients)


def _is_captured(order: Order) -> bool:
    """With that it has had its end: nothing would come of a delivery but the same."""
    return order.terms is not None and order.terms.captures and order.mail.send_at is None


def _deliveries_for(order: Order, new: New, lines: dict[str, tuple[int, int]]) -> list[NewDelivery]:
    due = order.mail.send_at or order.now
    return [
        NewDelivery(
            lines[order.namespace][0],
            f"{order.id}.{position}",
            lines[order.namespace][1],
            due,
            _body(order.id, one.recipient),
        )
        for position, one in enumerate(new.recipients)
        if one.state is State.QUEUED
    ]


def _body(mail: str, recipient: Recipient) -> str:
    return _encode(Addressed(mail, recipient.address)).decode()


def _lines(tx: Transaction, orders: list[Order], now: int) -> dict[str, tuple[int, int]]:
    """Namespace → its queue and its target. By name, as every transaction that may make or change them goes."""
    terms = {order.namespace: order.terms for order in orders if not _is_captured(order)}
    return {
        namespace: (targets.queue_id(tx, FAMILY, namespace, QUEUE, now), _relay(tx, namespace, terms[namespace], now))
        for namespace in sorted(terms)
    }


def _relay(tx: Transaction, namespace: str, terms: Terms | None, now: int) -> int:
    """The id of the namespace's target; made, or brought in line with the settings, where it has to be."""
    key = (FAMILY, namespace, RELAY)
    found = targets.find_target(tx, *key)
    if found is None or (terms is not None and terms[:2] != (found.settings.retries, found.concurrency)):
        retries, concurrency, _ = terms or Terms()
        targets.put_target(
            tx, key, TRANSPORT, TargetSettings(timeout=TIMEOUT, retries=retries), concurrency=concurrency, rate=None,
            paused_at=found.paused_at if found else None, now=now,
        )  # fmt: skip
        found = targets.find_target(tx, *key)
    assert found is not None, "put in above"
    return found.id


def _deliveries_of(tx: Transaction, kept: Kept, recipients: list[store.KeptRecipient]) -> list[Delivery]:
    queue = targets.find_queue(tx, FAMILY, kept.namespace, QUEUE)
    names = {f"{kept.id}.{one.position}" for one in recipients}
    return deliveries.find_named(tx, queue.id, names) if queue else []


def _position_of(delivery: Delivery) -> int:
    return int(delivery.name.rpartition(".")[2])


__all__ = ["FAMILY", "TOLD", "WAITING", "Enqueued", "Order", "cancel", "enqueue", "enqueue_many"]
