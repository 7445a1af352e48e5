"""What can be done with subscriptions."""

from typing import Any, NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.errors import NotAccepted, Wrong, missing
from undercroft.families.messaging.given import Given, check, find_errors
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.model import NO_ADDRESS, READY, Subscription, metadata_keys
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.firing import happened, hold_rules
from undercroft.families.messaging.sending import Occasion, queue_messages
from undercroft.families.messaging.store import SETS, SUBSCRIPTIONS
from undercroft.families.messaging.under_way import recall

_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "next_sequence_number": 1,
    "active": 1,
    "completed": 0,
    "process_status": 0,
    "metadata": None,
    "initial_sequence_number": 1,
}
_NEW = (
    "id TEXT, namespace TEXT, version BIGINT, identity TEXT, messageset BIGINT, next_sequence_number BIGINT, lang TEXT,"
    " active BIGINT, completed BIGINT, schedule BIGINT, process_status BIGINT, metadata TEXT,"
    " metadata_keys TEXT, initial_sequence_number BIGINT, created_at BIGINT, updated_at BIGINT"
)
_NEW_NAMES = tuple(column.split()[0] for column in _NEW.split(", "))
# What a message under way was chosen by: a change of these is a change of mind.
_CHOSEN_BY = {"messageset", "next_sequence_number", "lang", "active", "completed", "process_status", "identity"}


class Order(NamedTuple):
    """A subscription to be made."""

    namespace: str
    given: Given
    now: int


class Labelled(NamedTuple):
    """A subscription, and the label of its set."""

    subscription: Subscription
    label: str


def create_many(tx: Transaction, orders: list[Order]) -> list[Labelled | Refusal]:
    """Each made, or why not."""
    errors = find_errors(tx, [(order.namespace, order.given) for order in orders])
    rows: list[tuple[Any, ...]] = []
    made: list[str | None] = []
    for order, wrong in zip(orders, errors, strict=True):
        if wrong:
            made.append(None)
            continue
        values = {**_DEFAULTS, **order.given.values, "id": new_uuid(), "namespace": order.namespace}
        values["created_at"] = values["updated_at"] = order.now
        values["metadata_keys"] = metadata_keys(values["metadata"])
        rows.append(tuple(values[name] for name in _NEW_NAMES))
        made.append(values["id"])
    put_in = tx.each(
        f"INSERT INTO messaging_subscriptions ({', '.join(_NEW_NAMES)}) SELECT r.* FROM {{rows}} WHERE true"
        f" RETURNING {SUBSCRIPTIONS.columns}",
        _NEW,
        rows,
    )
    by_id = {one.subscription.id: one for one in labelled(tx, [SUBSCRIPTIONS.made(row) for row in put_in])}
    return [Wrong(wrong) if id is None else by_id[id] for id, wrong in zip(made, errors, strict=True)]


def labelled(tx: Transaction, these: list[Subscription]) -> list[Labelled]:
    sets = SETS.find_all(tx, {one.messageset for one in these})
    return [Labelled(one, sets[one.messageset].label if one.messageset in sets else "") for one in these]


def find(tx: Transaction, namespace: str, id: str) -> Labelled:
    return labelled(tx, [require(tx, namespace, id)])[0]


def change(tx: Transaction, namespace: str, id: str, given: Given, now: int) -> Labelled:
    """A message that was under way by what is now another is not sent, unless it is being sent at this moment; and then
    the subscription does not move on by it."""
    if {"active", "completed"} & given.values.keys():
        hold_rules(tx, {namespace})
    before = require(tx, namespace, id, locked=True)
    check(tx, namespace, given)
    values = {**given.values, "updated_at": now}
    if "metadata" in values:
        values["metadata_keys"] = metadata_keys(values["metadata"])
    differing = {name for name in _CHOSEN_BY & values.keys() if values[name] != getattr(before, name)}
    if before.turns and differing:
        recall(tx, before)
        values["under_way"] = 0
    changed = SUBSCRIPTIONS.update(tx, before.number, values)
    assert changed is not None, "it was there above"
    if before.active and not changed.active and not changed.completed:
        happened(tx, [events.opted_out(changed)], now)
    elif changed.completed and not before.completed:
        happened(tx, [events.completed(changed)], now)
    return labelled(tx, [changed])[0]


def delete(tx: Transaction, namespace: str, id: str, _now: int) -> None:
    """With what is on its way to it, and with what is told of it elsewhere."""
    subscription = require(tx, namespace, id, locked=True)
    recall(tx, subscription)
    tx.run("DELETE FROM messaging_behind WHERE subscription = :id", id=id)
    SUBSCRIPTIONS.delete(tx, subscription.number)


def send_next(tx: Transaction, namespace: str, id: str, ways: Ways, now: int) -> None:
    """Send the next message now. Raises NotAccepted. (contract §0)"""
    subscription = SUBSCRIPTIONS.find(tx, namespace, id, locked=True)
    if subscription is None:
        raise NotAccepted(f"Cannot find subscription with ID {id}")
    if not subscription.is_ready:
        raise NotAccepted(f"The subscription is not ready: {_why_not(subscription)}")
    if subscription.under_way:
        raise NotAccepted("A message of this subscription is under way already")
    queued = queue_messages(tx, namespace, [subscription], ways, Occasion(now))
    if queued.without_message:
        number, lang = subscription.next_sequence_number, subscription.lang
        raise NotAccepted(f"The message set has no message {number} in the language {lang}")
    if queued.without_address:
        SUBSCRIPTIONS.update(tx, subscription.number, {"process_status": READY})
        raise NotAccepted("The identity has no address on the channel of the message set")


def resend(tx: Transaction, namespace: str, id: str, ways: Ways, now: int) -> None:
    """Send the last message again; nothing moves on. What can't be sent, or to whom nothing is to be sent any more, is
    not told. (contract §5, §7)"""
    subscription = SUBSCRIPTIONS.find(tx, namespace, id, locked=True)
    if subscription is None:
        raise NotAccepted(f"Cannot find subscription with ID {id}")
    if subscription.process_status == NO_ADDRESS:  # asked for once more: perhaps there is one by now
        SUBSCRIPTIONS.update(tx, subscription.number, {"process_status": READY})
        subscription = subscription._replace(process_status=READY)
    if subscription.is_ready:
        queue_messages(tx, namespace, [subscription], ways, Occasion(now, resend=True))


def opt_out(tx: Transaction, id: str, now: int) -> Subscription:
    """By its link, which is worth a token for just this: whoever has come to the end of its set meanwhile gets no more
    of the sets that followed it."""
    place = tx.one("SELECT namespace FROM messaging_subscriptions WHERE id = :id", id=id)
    if place is None:
        raise missing()
    hold_rules(tx, {place[0]})
    row = tx.one(f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions WHERE id = :id {{locked}}", id=id)
    if row is None:
        raise missing()
    subscription = SUBSCRIPTIONS.made(row)
    ending = [subscription] if subscription.active else _successors(tx, subscription) if subscription.completed else []
    for one in ending:
        change(tx, one.namespace, one.id, Given({"active": 0}, {}), now)
    if subscription.completed:  # rules may know what else followed it
        happened(tx, [events.opted_out(subscription)], now)
    return subscription


def _successors(tx: Transaction, subscription: Subscription) -> list[Subscription]:
    """The active ones of the sets that follow, made since."""
    chain: set[int] = set()
    following = SETS.find_all(tx, {subscription.messageset}).get(subscription.messageset)
    while following is not None and following.next_set is not None and following.next_set not in chain:
        chain.add(following.next_set)
        following = SETS.find_all(tx, {following.next_set}).get(following.next_set)
    rows = tx.all(
        f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions WHERE namespace = :namespace"
        " AND identity = :identity AND number > :number AND active = 1 ORDER BY number {locked}",
        namespace=subscription.namespace,
        identity=subscription.identity,
        number=subscription.number,
    )
    return [one for row in rows if (one := SUBSCRIPTIONS.made(row)).messageset in chain]


def require(tx: Transaction, namespace: str, id: str, *, locked: bool = False) -> Subscription:
    found = SUBSCRIPTIONS.find(tx, namespace, id, locked=locked)
    if found is None:
        raise missing()
    return found


def _why_not(subscription: Subscription) -> str:
    if subscription.completed:
        return "it is completed"
    if not subscription.active:
        return "it is not active"
    return f"its process_status is {subscription.process_status}"
