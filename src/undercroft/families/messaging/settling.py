"""What follows from a message's end, in the transaction that settles its delivery: the subscription moves on exactly
when its message was accepted, and only then."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging import figures
from undercroft.families.messaging.hours import after_quiet
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.lookup import NO_ADDRESS as HAS_NO_ADDRESS
from undercroft.families.messaging.model import COMPLETED, NO_ADDRESS, READY, Subscription
from undercroft.families.messaging.outbound import without_prepended
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.firing import happened, hold_rules
from undercroft.families.messaging.sending import Sent
from undercroft.families.messaging.store import SETS, locked_subscriptions
from undercroft.families.messaging.under_way import note_left
from undercroft.machinery.deliveries import store
from undercroft.machinery.deliveries.hooks import Settled
from undercroft.machinery.deliveries.model import Kind, State

_sent = msgspec.json.Decoder(Sent)


class End(NamedTuple):
    sent: Sent
    delivered: bool
    no_address: bool


def settled(tx: Transaction, those: list[Settled]) -> None:
    """The hook of the same name."""
    ours = [(one, _sent.decode(one.delivery.options)) for one in those if one.delivery.options]
    note_left(tx, Counter(sent.run for one, sent in ours if sent.run and not one.delivery.attempts))
    ours = [(one, sent) for one, sent in ours if one.delivery.kind == Kind.OUTWARD]
    figures.tell_messages(tx, Counter(_OUTCOMES.get(State(one.verdict.state), "again") for one, _ in ours))
    hold_rules(tx, _namespaces(tx, [sent.number for one, sent in ours if one.verdict.state == State.DELIVERED]))
    standing = {one.number: one for one in locked_subscriptions(tx, [sent.number for _, sent in ours])}
    later = [(one, sent) for one, sent in ours if one.verdict.state not in _OVER]
    _take_back(tx, [one for one, sent in later if not _is_wanted(sent, standing)])
    _let_sleep(tx, [(one, sent) for one, sent in later if sent.quiet and _is_wanted(sent, standing)])
    ends = [
        End(sent, one.verdict.state == State.DELIVERED, one.outcome.error == HAS_NO_ADDRESS)
        for one, sent in ours
        if one.verdict.state in _OVER and sent.turn and _is_wanted(sent, standing)
    ]
    if not ends:
        return
    now = max(one.outcome.started_at + one.outcome.took_ms for one in those)
    _free(tx, [end for end in ends if not end.delivered], now)
    _advance(tx, {end.sent.number: end.sent for end in ends if end.delivered}, standing, now)


_OUTCOMES = {State.DELIVERED: "delivered", State.DEAD: "dead"}
_OVER = tuple(_OUTCOMES)


def _namespaces(tx: Transaction, numbers: list[int]) -> set[str]:
    rows = tx.each(
        "SELECT DISTINCT s.namespace FROM {rows} JOIN messaging_subscriptions s ON s.number = r.number",
        "number BIGINT",
        [(number,) for number in numbers],
    )
    return {namespace for (namespace,) in rows}


def _is_wanted(sent: Sent, standing: Mapping[int, Subscription]) -> bool:
    """Somebody may have opted out, or been moved, while a courier had the message in its hands."""
    one = standing.get(sent.number)
    if one is None:
        return False
    return one.under_way == sent.turn if sent.turn else bool(one.active or one.completed)


def _take_back(tx: Transaction, unwanted: list[Settled]) -> None:
    """What would be tried again."""
    store.delete(tx, [(one.delivery.id, one.delivery.revision, one.verdict.state) for one in unwanted])


def _let_sleep(tx: Transaction, later: list[tuple[Settled, Sent]]) -> None:
    """What would be tried again in the receiver's quiet hours waits for their end."""
    store.postpone(
        tx, [(one.delivery.id, after_quiet(one.verdict.due_at, sent.quiet)) for one, sent in later if sent.quiet]
    )


def _free(tx: Transaction, failed: list[End], now: int) -> None:
    """It stays where it is; the next firing tries the same message anew."""
    tx.each(
        "UPDATE messaging_subscriptions SET under_way = 0, updated_at = :now,"
        " process_status = CASE WHEN r.status <> 0 THEN r.status ELSE process_status END FROM {rows}"
        " WHERE messaging_subscriptions.number = r.number AND under_way = r.turn",
        "number BIGINT, turn BIGINT, status BIGINT",
        [(end.sent.number, end.sent.turn, NO_ADDRESS if end.no_address else 0) for end in failed],
        now=now,
    )


def _advance(tx: Transaction, sent: dict[int, Sent], standing: Mapping[int, Subscription], now: int) -> None:
    moving = [standing[number] for number in sent]
    onward = _following(tx, moving)
    tx.each(
        "UPDATE messaging_subscriptions SET under_way = 0, updated_at = :now, next_sequence_number = r.number,"
        " active = r.active, completed = r.completed, process_status = r.status FROM {rows}"
        " WHERE messaging_subscriptions.number = r.key",
        "key BIGINT, number BIGINT, active BIGINT, completed BIGINT, status BIGINT",
        [_moved(one, onward.get(_place(one))) for one in moving],
        now=now,
    )
    _forget_said(tx, [one for one in moving if sent[one.number].prepended])
    completed = [one for one in moving if onward.get(_place(one)) is None]
    begin_next_sets(tx, completed, now)
    reached = [events.reached(one, one.next_sequence_number) for one in moving]
    happened(tx, [*reached, *map(events.completed, completed)], now)


def _moved(one: Subscription, number: int | None) -> tuple[int, int, int, int, int]:
    """(key, next number, active, completed, status)"""
    if number is None:
        return one.number, one.next_sequence_number, 0, 1, COMPLETED
    return one.number, number, one.active, one.completed, READY if one.process_status == 1 else one.process_status


Place = tuple[int, str, int]


def _place(one: Subscription) -> Place:
    return one.messageset, one.lang, one.next_sequence_number


def _following(tx: Transaction, moving: list[Subscription]) -> dict[Place, int]:
    """The next number that the set has in that language, where there is one."""
    rows = tx.each(
        "SELECT r.messageset, r.lang, r.number, (SELECT MIN(m.sequence_number) FROM messaging_messages m"
        " WHERE m.messageset = r.messageset AND m.lang = r.lang AND m.sequence_number > r.number) FROM {rows}",
        "messageset BIGINT, lang TEXT, number BIGINT",
        list({_place(one) for one in moving}),
    )
    return {
        (messageset, lang, number): following for messageset, lang, number, following in rows if following is not None
    }


def _forget_said(tx: Transaction, those: list[Subscription]) -> None:
    tx.each(
        "UPDATE messaging_subscriptions SET metadata = r.metadata FROM {rows}"
        " WHERE messaging_subscriptions.number = r.number",
        "number BIGINT, metadata TEXT",
        [(one.number, without_prepended(one.metadata)) for one in those],
    )


def begin_next_sets(tx: Transaction, completed: list[Subscription], now: int) -> list[str]:
    """Who has come to the end of a set that another follows is subscribed to that one, from its first message; the
    new ids."""
    sets = SETS.find_all(tx, {one.messageset for one in completed})
    following = SETS.find_all(tx, {each.next_set for each in sets.values() if each.next_set is not None}, kept=True)
    onward = [
        (one, next_set)
        for one in completed
        if one.messageset in sets and (next_set := following.get(sets[one.messageset].next_set or 0)) is not None
    ]
    firsts = _firsts(tx, {(next_set.id, one.lang) for one, next_set in onward})
    fresh = [
        (new_uuid(), one.namespace, one.identity, each.id, one.lang, each.default_schedule, firsts[each.id, one.lang],
         one.rule_depth)
        for one, each in onward
    ]  # fmt: skip
    tx.each(
        "INSERT INTO messaging_subscriptions (id, namespace, identity, messageset, lang, schedule, rule_depth,"
        " version, next_sequence_number, active, completed, process_status, initial_sequence_number, created_at,"
        " updated_at) SELECT r.id, r.namespace, r.identity, r.messageset, r.lang, r.schedule, r.depth, 1, r.first, 1,"
        " 0, 0, r.first, CAST(:now AS BIGINT), CAST(:now AS BIGINT) FROM {rows}",
        "id TEXT, namespace TEXT, identity TEXT, messageset BIGINT, lang TEXT, schedule BIGINT, first BIGINT,"
        " depth BIGINT",
        fresh,
        now=now,
    )
    return [one[0] for one in fresh]


def _firsts(tx: Transaction, places: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """With which number each set begins in that language: 1 (contract §7), unless it has none of that number."""
    rows = tx.each(
        "SELECT r.messageset, r.lang, MIN(m.sequence_number) FROM {rows} JOIN messaging_messages m"
        " ON m.messageset = r.messageset AND m.lang = r.lang"
        " GROUP BY r.messageset, r.lang HAVING COUNT(CASE WHEN m.sequence_number = 1 THEN 1 END) = 0",
        "messageset BIGINT, lang TEXT",
        list(places),
    )
    return dict.fromkeys(places, 1) | {(messageset, lang): first for messageset, lang, first in rows}
