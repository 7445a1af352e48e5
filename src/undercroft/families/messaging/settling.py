"""What follows from a message's end, in the transaction that settles its delivery: the subscription moves on exactly
when its message was accepted, and only then."""

from collections import Counter
from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.lookup import NO_ADDRESS as HAS_NO_ADDRESS
from undercroft.families.messaging.model import COMPLETED, NO_ADDRESS, READY, Subscription
from undercroft.families.messaging.outbound import without_prepended
from undercroft.families.messaging.sending import Sent
from undercroft.families.messaging.store import SETS, SUBSCRIPTIONS
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
    _note_left(tx, Counter(sent.run for one, sent in ours if sent.run and not one.delivery.attempts))
    ends = [
        End(sent, one.verdict.state == State.DELIVERED, one.outcome.error == HAS_NO_ADDRESS)
        for one, sent in ours
        if one.verdict.state in (State.DELIVERED, State.DEAD) and sent.turn and one.delivery.kind == Kind.OUTWARD
    ]
    if not ends:
        return
    now = max(one.outcome.started_at + one.outcome.took_ms for one in those)
    _free(tx, [end for end in ends if not end.delivered], now)
    _advance(tx, [end.sent for end in ends if end.delivered], now)


def _note_left(tx: Transaction, left: Counter[int]) -> None:
    """Whatever became of it, it makes room for the next ones of its run."""
    tx.each(
        "UPDATE messaging_runs SET left_house = left_house + r.count FROM {rows} WHERE messaging_runs.id = r.id",
        "id BIGINT, count BIGINT",
        list(left.items()),
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


def _advance(tx: Transaction, sent: list[Sent], now: int) -> None:
    by_number = {one.number: one for one in sent}
    rows = tx.each(
        f"SELECT {', '.join('s.' + name for name in Subscription._fields)} FROM messaging_subscriptions s"
        " JOIN {rows} ON s.number = r.number AND s.under_way = r.turn",
        "number BIGINT, turn BIGINT",
        [(one.number, one.turn) for one in by_number.values()],
    )
    moving = [SUBSCRIPTIONS.made(row) for row in rows]
    onward = _following(tx, moving)
    tx.each(
        "UPDATE messaging_subscriptions SET under_way = 0, updated_at = :now, next_sequence_number = r.number,"
        " active = r.active, completed = r.completed, process_status = r.status FROM {rows}"
        " WHERE messaging_subscriptions.number = r.key",
        "key BIGINT, number BIGINT, active BIGINT, completed BIGINT, status BIGINT",
        [_moved(one, onward.get(_place(one))) for one in moving],
        now=now,
    )
    _forget_said(tx, [one for one in moving if by_number[one.number].prepended])
    begin_next_sets(tx, [one for one in moving if onward.get(_place(one)) is None], now)


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
    following = SETS.find_all(tx, {each.next_set for each in sets.values() if each.next_set is not None})
    fresh = [
        (new_uuid(), one.namespace, one.identity, next_set.id, one.lang, next_set.default_schedule)
        for one in completed
        if (next_set := following.get(sets[one.messageset].next_set or 0)) is not None
    ]
    tx.each(
        "INSERT INTO messaging_subscriptions (id, namespace, identity, messageset, lang, schedule, version,"
        " next_sequence_number, active, completed, process_status, initial_sequence_number, created_at, updated_at)"
        " SELECT r.*, 1, 1, 1, 0, 0, 1, CAST(:now AS BIGINT), CAST(:now AS BIGINT) FROM {rows}",
        "id TEXT, namespace TEXT, identity TEXT, messageset BIGINT, lang TEXT, schedule BIGINT",
        fresh,
        now=now,
    )
    return [one[0] for one in fresh]
