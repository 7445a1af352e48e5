"""What can be done with rules."""

from collections.abc import Mapping
from typing import Any

from undercroft.database import Transaction
from undercroft.families.messaging.errors import WHOLE, Wrong, missing
from undercroft.families.messaging.given import Given, check
from undercroft.families.messaging.rules.matching import FIELD, OF_SUBSCRIPTIONS, REACHED, SUBSCRIBE, Rule, leads_back
from undercroft.families.messaging.store import RULES

MOST_RULES = 1_000
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("messageset", "number", "address_type", "field", "value", "lang", "schedule", "default_lang")),
    "conditions": "{}",
    "first_number": 1,
    "active": 1,
}


def create(tx: Transaction, namespace: str, given: Given, now: int) -> Rule:
    _check(tx, namespace, given, {**_DEFAULTS, **given.values})
    [count] = tx.one("SELECT COUNT(*) FROM messaging_rules WHERE namespace = :place", place=namespace) or (0,)
    if count >= MOST_RULES:
        raise Wrong({WHOLE: [f"There are {MOST_RULES} rules already. Remove one first."]})
    values = {**_DEFAULTS, **given.values, "namespace": namespace, "created_at": now, "updated_at": now}
    made = RULES.insert(tx, values)
    assert made is not None, "nothing in it is unique"
    return made


def change(tx: Transaction, namespace: str, id: int, given: Given, now: int) -> Rule:
    before = require(tx, namespace, id)
    _check(tx, namespace, given, {**before._asdict(), **given.values})
    changed = RULES.update(tx, id, {**given.values, "updated_at": now})
    assert changed is not None, "it was there above"
    return changed


def delete(tx: Transaction, namespace: str, id: int, _now: int) -> None:
    """With what is told of it; whom it has subscribed stays so."""
    require(tx, namespace, id)
    tx.run("DELETE FROM messaging_firings WHERE rule = :id", id=id)
    RULES.delete(tx, id)


def require(tx: Transaction, namespace: str, id: int) -> Rule:
    found = RULES.find(tx, namespace, id)
    if found is None:
        raise missing()
    return found


def not_saved(tx: Transaction, namespace: str, given: Given, now: int) -> Rule:
    """As it would be made. Raises Wrong as `create` does."""
    values = {**_DEFAULTS, **given.values}
    _check(tx, namespace, given, values)
    fresh = {**values, "id": 0, "namespace": namespace, "fired": 0, "created_at": now, "updated_at": now}
    return RULES.row(**fresh)


def is_in_circle(tx: Transaction, rule: Rule) -> bool:
    """Whether whom it subscribes comes back to where it began, by rules and by sets that follow each other."""
    rows = tx.all(
        "SELECT messageset, target FROM messaging_rules WHERE namespace = :place AND active = 1"
        " AND action = :subscribe AND messageset IS NOT NULL"
        " UNION SELECT id, next_set FROM messaging_sets WHERE namespace = :place AND next_set IS NOT NULL",
        place=rule.namespace,
        subscribe=SUBSCRIBE,
    )
    onward: dict[int, set[int]] = {}
    for here, there in rows:
        onward.setdefault(here, set()).add(there)
    return rule.action == SUBSCRIBE and leads_back(rule.target, rule.messageset, onward)


def _check(tx: Transaction, namespace: str, given: Given, whole: Mapping[str, Any]) -> None:
    """Each event has fields that it needs, and others that would mean nothing."""
    errors, event = dict(given.errors), whole.get("event")
    needed = {"messageset"} if event in OF_SUBSCRIPTIONS else set()
    needed |= {REACHED: {"number"}, FIELD: {"field"}}.get(str(event), set())
    for name in ("messageset", "number", "field"):
        if event is None or name in errors:
            continue
        if name in needed and whole[name] is None:
            errors[name] = [f"This field is required where the event is {event}."]
        elif name not in needed and whole[name] is not None:
            errors[name] = [f"This means nothing where the event is {event}. Leave it out, or write null."]
    check(tx, namespace, Given(given.values, errors))
