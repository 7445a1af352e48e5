"""Which rules mean what has happened, and what is to be done. Pure."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

COMPLETED, REACHED, OPTED_OUT = "completed", "reached", "opted_out"
ADDRESS, FIELD = "address", "field"
OF_SUBSCRIPTIONS, OF_IDENTITIES = (COMPLETED, REACHED, OPTED_OUT), (ADDRESS, FIELD)
SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"
# So many rules may lead to each other. Some lead back to where they began.
MOST_CHAINED = 10

SUBSCRIBED, UNSUBSCRIBED = "subscribed", "unsubscribed"
ALREADY, NOT_THERE = "is subscribed already", "is not subscribed"
NO_LANGUAGE = "no language is known: give the rule a default_lang"
TOO_LONG = f"the chain of rules is too long: {MOST_CHAINED} led here one after the other"


class Rule(NamedTuple):
    """A row. `value` and `conditions` are JSON as `text_of` writes it."""

    id: int
    namespace: str
    name: str
    event: str
    messageset: int | None
    number: int | None
    address_type: str | None
    field: str | None
    value: str | None
    lang: str | None
    conditions: str
    action: str
    target: int
    schedule: int | None
    first_number: int
    default_lang: str | None
    active: int
    fired: int
    created_at: int
    updated_at: int


class Firing(NamedTuple):
    """A row: what a rule did about one cause. `subscription`: the id of the one that it made."""

    id: int
    namespace: str
    rule: int
    cause: str
    identity: str
    outcome: str
    subscription: str | None
    created_at: int


class Event(NamedTuple):
    """Something that has happened, once by its `cause`. `what`: the kind of an address, or a field's name, with its
    `value`. `depth`: how many rules led here."""

    event: str
    cause: str
    namespace: str
    identity: str
    messageset: int | None = None
    number: int | None = None
    what: str | None = None
    value: str | None = None
    lang: str | None = None
    depth: int = 0


class Details(NamedTuple):
    """What is known of an identity: its fields by name, each as JSON, its language and time zone among them."""

    lang: str | None
    fields: Mapping[str, str]


class Known(NamedTuple):
    """What a decision is made by: identities in their namespace; who is subscribed to which set; what has been done."""

    people: Mapping[tuple[str, str], Details]
    subscribed: frozenset[tuple[str, str, int]]
    fired: frozenset[tuple[int, str]]


class Decision(NamedTuple):
    rule: Rule
    event: Event
    outcome: str
    lang: str


NOBODY = Details(None, {})


def decide(pairs: Iterable[tuple[Rule, Event]], known: Known) -> list[Decision]:
    """One after the other, each seeing what was decided before it."""
    subscribed, fired = set(known.subscribed), set(known.fired)
    decisions = []
    for rule, event in pairs:
        who = known.people.get((event.namespace, event.identity), NOBODY)
        lang = event.lang or who.lang
        if (rule.id, event.cause) in fired or not is_meant(rule, event) or not suits(rule, lang, who):
            continue
        place = (event.namespace, event.identity, rule.target)
        lang = lang or rule.default_lang
        decision = Decision(rule, event, _outcome(rule, event, lang, place in subscribed), lang or "")
        fired.add((rule.id, event.cause))
        if decision.outcome == SUBSCRIBED:
            subscribed.add(place)
        elif decision.outcome == UNSUBSCRIBED:
            subscribed.discard(place)
        decisions.append(decision)
    return decisions


def is_meant(rule: Rule, event: Event) -> bool:
    """Whether it is this that the rule waits for."""
    if not rule.active or (rule.namespace, rule.event) != (event.namespace, event.event):
        return False
    if rule.event in OF_SUBSCRIPTIONS:
        return rule.messageset == event.messageset and (rule.event != REACHED or rule.number == event.number)
    if rule.event == ADDRESS:
        return rule.address_type in (None, event.what)
    return rule.field == event.what and rule.value in (None, event.value)


def suits(rule: Rule, lang: str | None, who: Details) -> bool:
    """Whether it is somebody whom the rule is for."""
    if rule.lang is not None and rule.lang != lang:
        return False
    return all(who.fields.get(name, "null") in wanted for name, wanted in _wanted(rule.conditions))


def leads_back(target: int, messageset: int | None, onward: Mapping[int, set[int]]) -> bool:
    """Whether who is brought to `target` comes to `messageset` again; `onward`: which sets each leads to."""
    seen, ahead = {target}, [target]
    while ahead:
        here = ahead.pop()
        if here == messageset:
            return True
        ahead += onward.get(here, set()) - seen
        seen |= onward.get(here, set())
    return False


def text_of(value: Any) -> str:
    """JSON that is the same for what is the same; 1, 1.0, true and "1" are four things."""
    return msgspec.json.encode(value, order="deterministic").decode()


def _outcome(rule: Rule, event: Event, lang: str | None, is_subscribed: bool) -> str:
    if event.depth >= MOST_CHAINED:
        return TOO_LONG
    if rule.action == UNSUBSCRIBE:
        return UNSUBSCRIBED if is_subscribed else NOT_THERE
    if is_subscribed:
        return ALREADY
    return NO_LANGUAGE if lang is None else SUBSCRIBED


@lru_cache(maxsize=1_024)
def _wanted(conditions: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Of each field the values that will do, "null" for not having it."""
    read = msgspec.json.decode(conditions)
    return tuple(
        (name, frozenset(map(text_of, value if isinstance(value, list) else [value]))) for name, value in read.items()
    )
