"""Whom a rule would subscribe as things stand, a piece at a time; and having it done for them."""

from collections import Counter

from undercroft.database import Transaction
from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.model import Person, Subscription
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.actions import require
from undercroft.families.messaging.rules.firing import happened, known
from undercroft.families.messaging.rules.matching import (
    ADDRESS,
    COMPLETED,
    OPTED_OUT,
    REACHED,
    Decision,
    Event,
    Rule,
    decide,
    is_meant,
)
from undercroft.families.messaging.store import PERSONS, SUBSCRIPTIONS
from undercroft.families.messaging.tables import Condition, Window

PER_STEP = 500
_STATE = {
    COMPLETED: "completed = 1",
    OPTED_OUT: "active = 0 AND completed = 0",
    # It began there or before, and has gone past; who has completed a set stands at its last message.
    REACHED: (
        "initial_sequence_number <= :{0} AND (next_sequence_number > :{0} OR completed = 1 AND"
        " next_sequence_number = :{0}) AND EXISTS (SELECT 1 FROM messaging_messages m WHERE m.sequence_number = :{0}"
        " AND m.messageset = messaging_subscriptions.messageset AND m.lang = messaging_subscriptions.lang)"
    ),
}


def whom(tx: Transaction, rule: Rule, position: int | None) -> tuple[list[Decision], int | None]:
    """What it would do for the next of those to whom its event has happened, and where to go on; nothing is changed."""
    these, onward = _events(tx, rule, position)
    pairs = [(rule._replace(active=1), one) for one in these]
    return decide(pairs, known(tx, pairs)), onward


def apply(tx: Transaction, namespace: str, id: int, position: int | None, now: int) -> tuple[Counter[str], int | None]:
    """Have it done for them, and where to go on. For whom it was done it is not done again."""
    rule = require(tx, namespace, id)
    if not rule.active:
        raise Wrong({"active": ["The rule is not active: it does nothing until it is."]})
    these, onward = _events(tx, rule, position)
    return happened(tx, these, now, only=rule), onward


def _events(tx: Transaction, rule: Rule, position: int | None) -> tuple[list[Event], int | None]:
    window = Window(PER_STEP, position)
    if rule.event in _STATE:
        conditions: list[Condition] = [("messageset = :{}", rule.messageset), (_STATE[rule.event], rule.number)]
        rows = SUBSCRIPTIONS.page(tx, rule.namespace, window, conditions)
        these = [_of_subscription(one, rule) for one in rows[:PER_STEP]]
        return these, rows[PER_STEP - 1].number if len(rows) > PER_STEP else None
    people = PERSONS.page(tx, rule.namespace, window, [])
    shown = people[:PER_STEP]
    found = _addressed(tx, shown) if rule.event == ADDRESS else [one for each in shown for one in _valued(each)]
    onward = shown[-1].number if len(people) > PER_STEP else None
    return [one for one in found if is_meant(rule._replace(active=1), one)], onward


def _of_subscription(one: Subscription, rule: Rule) -> Event:
    if rule.event == REACHED:
        return events.reached(one, rule.number or 0)
    return events.completed(one) if rule.event == COMPLETED else events.opted_out(one)


def _addressed(tx: Transaction, people: list[Person]) -> list[Event]:
    rows = tx.each(
        "SELECT DISTINCT identity, kind FROM messaging_addresses WHERE identity IN (SELECT r.number FROM {rows})"
        " ORDER BY identity, kind",
        "number BIGINT",
        [(person.number,) for person in people],
    )
    by_number = {person.number: person for person in people}
    return [events.got_address(by_number[number], kind) for number, kind in rows]


def _valued(person: Person) -> list[Event]:
    return events.changes(person, {}, set(), set())
