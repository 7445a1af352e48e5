"""Bringing one who is behind to where it should be by now.

That is reckoned before the transaction that does it, for it asks for a cron moment of each message that it goes past;
whether it is still true of what was read is looked at inside.
"""

from typing import Any, NamedTuple

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging import subscriptions
from undercroft.families.messaging.arithmetic import MINUTE, Place, Standing
from undercroft.families.messaging.behind import Course, course_of, standing_of
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.model import COMPLETED, Subscription
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.firing import happened, hold_rules
from undercroft.families.messaging.rules.matching import Event
from undercroft.families.messaging.store import SCHEDULES, SETS, SUBSCRIPTIONS
from undercroft.families.messaging.under_way import recall

# So often it is reckoned anew, where what it was reckoned from changes meanwhile.
TRIES = 5


class Reckoned(NamedTuple):
    """Where a subscription should be, and from what that follows: itself, and of its course the sets on its path."""

    one: Subscription
    stands: Standing
    course: Course


async def fast_forward(database: Database, namespace: str, id: str, now: int) -> list[str]:
    """Without sending what lies between; the ids of what it now consists of.

    Raises Refusal(CONFLICT) where it, or its sets, change each time.
    """
    for _ in range(TRIES):
        reckoned = await database.read(reckon, namespace, id, now)
        if reckoned is None:
            return [id]
        ids = await database.write_once(put_forward, reckoned, now)
        if ids is not None:
            return ids
    raise Refusal(Kind.CONFLICT, "changing", "The subscription or its message sets are changing. Try again.")


def reckon(tx: Transaction, namespace: str, id: str, now: int) -> Reckoned | None:
    """None for one that stays where it is: it is not ready, or not behind."""
    one = subscriptions.require(tx, namespace, id)
    course = course_of(tx, namespace)
    if not one.is_ready or not course.numbers.get((one.messageset, one.lang)):
        return None
    stands = standing_of(one, course, now)
    return Reckoned(one, stands, _along(tx, one, stands)) if stands.behind else None


def put_forward(tx: Transaction, reckoned: Reckoned, now: int) -> list[str] | None:
    """None where it was reckoned from what is no longer so; nothing is changed then."""
    hold_rules(tx, {reckoned.one.namespace})
    one = subscriptions.require(tx, reckoned.one.namespace, reckoned.one.id, locked=True)
    course = _along(tx, one, reckoned.stands)
    if _chosen(one) != _chosen(reckoned.one) or course != reckoned.course:
        return None
    if one.under_way:
        recall(tx, one)
    ids, passed = [one.id], []
    for position, place in enumerate(reckoned.stands.path):
        state = {"next_sequence_number": place.number, "under_way": 0, "updated_at": now}
        if place.complete:
            state |= {"completed": 1, "active": 0, "process_status": COMPLETED}
        if position == 0:
            row = SUBSCRIPTIONS.update(tx, one.number, state)
        else:
            ids.append(new_uuid())
            row = SUBSCRIPTIONS.insert(tx, {**_begun(one, ids[-1], place, course), **state})
        assert row is not None, "it is there, or its id is new"
        passed += _passed(row, one.next_sequence_number if position == 0 else 1, place, course)
    happened(tx, passed, now)
    return ids


def _along(tx: Transaction, one: Subscription, stands: Standing) -> Course:
    """What there is of the sets on this path, as it is now."""
    sets = SETS.find_all(tx, {place.messageset for place in stands.path})
    schedules = SCHEDULES.find_all(tx, {one.schedule, *(each.default_schedule for each in sets.values())})
    numbers: dict[tuple[int, str], list[int]] = {}
    for messageset, number in tx.each(
        "SELECT m.messageset, m.sequence_number FROM {rows} JOIN messaging_messages m"
        " ON m.messageset = r.messageset AND m.lang = :lang ORDER BY m.messageset, m.sequence_number",
        "messageset BIGINT",
        [(id,) for id in sets],
        lang=one.lang,
    ):
        numbers.setdefault((messageset, one.lang), []).append(number)
    return Course(sets, schedules, numbers)


def _chosen(one: Subscription) -> Subscription:
    """Without what a send changes that has not had its end."""
    return one._replace(turns=0, under_way=0, updated_at=0)


def _begun(one: Subscription, id: str, place: Place, course: Course) -> dict[str, Any]:
    """On a set that follows: a minute behind the run that completed the set before, which is not this one's. (§8)"""
    return {
        "id": id,
        "namespace": one.namespace,
        "version": 1,
        "identity": one.identity,
        "messageset": place.messageset,
        "lang": one.lang,
        "active": 1,
        "completed": 0,
        "schedule": course.sets[place.messageset].default_schedule,
        "process_status": 0,
        "initial_sequence_number": 1,
        "created_at": place.created_at + MINUTE,
        "rule_depth": one.rule_depth,
    }


def _passed(row: Subscription, begin: int, place: Place, course: Course) -> list[Event]:
    """What rules are told: the messages that it went past, and the end of the set."""
    numbers = course.numbers.get((place.messageset, row.lang), [])
    past = [events.reached(row, n) for n in numbers if begin <= n and (place.complete or n < place.number)]
    return [*past, events.completed(row)] if place.complete else past
