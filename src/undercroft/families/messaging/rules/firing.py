"""What rules do about what has happened, in the transaction in which it happens: each rule once for each cause."""

from collections import Counter

from undercroft.database import Transaction
from undercroft.families.messaging import figures
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.matching import (
    ADDRESS,
    ALREADY,
    FIELD,
    NO_LANGUAGE,
    NOT_THERE,
    OF_SUBSCRIPTIONS,
    SUBSCRIBED,
    TOO_LONG,
    UNSUBSCRIBED,
    Decision,
    Details,
    Event,
    Known,
    Rule,
    decide,
)
from undercroft.families.messaging.store import RULES, SETS, locked_subscriptions
from undercroft.families.messaging.under_way import recall

Pairs = list[tuple[Rule, Event]]


def happened(tx: Transaction, these: list[Event], now: int, only: Rule | None = None) -> Counter[str]:
    """Follow the rules that mean these, or this one alone; how often each outcome came of it. What they cause at once
    is followed too, by every rule: a chain ends after MOST_CHAINED."""
    outcomes: Counter[str] = Counter()
    while these:
        pairs = rules_for(tx, these) if only is None else [(only, one) for one in these]
        decisions, these = _follow(tx, pairs, now)
        only = None
        outcomes.update(one.outcome for one in decisions)
    figures.tell_rules(tx, Counter({_WORDS[outcome]: count for outcome, count in outcomes.items()}))
    return outcomes


def hold_rules(tx: Transaction, namespaces: set[str]) -> None:
    """Until the end of the transaction nobody else follows rules there: two who bring the same identity to the same set
    at the same moment would not see each other. Its first rule stands for all that a namespace has; where it has none,
    nothing is held.

    Whoever may come to `happened` calls this before it locks subscriptions, for rules end others' subscriptions too
    (see `store.py`).
    """
    for namespace in sorted(namespaces):
        while not _first_rule(tx, namespace, " {locked}") and _first_rule(tx, namespace):
            pass  # the one that was waited for has been removed: another is the first by now


def _first_rule(tx: Transaction, namespace: str, locked: str = "") -> bool:
    row = tx.one(
        f"SELECT id FROM messaging_rules WHERE namespace = :place ORDER BY id LIMIT 1{locked}", place=namespace
    )
    return row is not None


# One word each, for figures.
_WORDS = {
    SUBSCRIBED: "subscribed",
    UNSUBSCRIBED: "unsubscribed",
    ALREADY: "already",
    NOT_THERE: "not_subscribed",
    NO_LANGUAGE: "no_language",
    TOO_LONG: "too_long",
}


# How a rule `m` is found by what has happened `r`; each goes by an index.
_MEANT = (
    (OF_SUBSCRIPTIONS, "m.messageset = r.messageset AND (m.number IS NULL OR m.number = r.number)"),
    ((ADDRESS,), "(m.address_type IS NULL OR m.address_type = r.what)"),
    ((FIELD,), "m.field = r.what AND (m.value IS NULL OR m.value = r.value)"),
)


def rules_for(tx: Transaction, these: list[Event]) -> Pairs:
    """Each of these with each rule that means it, in the order of the rules."""
    keys = {key: place for place, key in enumerate(dict.fromkeys(map(_key, these)))}
    rules: dict[int, list[Rule]] = {}
    for words, meant in _MEANT:
        rows = tx.each(
            f"SELECT r.place, {', '.join('m.' + name for name in Rule._fields)} FROM {{rows}} JOIN messaging_rules m"
            f" ON m.namespace = r.namespace AND m.event = r.event AND {meant} WHERE m.active = 1 ORDER BY m.id",
            "place BIGINT, namespace TEXT, event TEXT, messageset BIGINT, number BIGINT, what TEXT, value TEXT",
            [(place, *key) for key, place in keys.items() if key[1] in words],
        )
        for place, *row in rows:
            rules.setdefault(place, []).append(RULES.made(tuple(row)))
    return [(rule, one) for one in these for rule in rules.get(keys[_key(one)], ())]


def _key(one: Event) -> tuple[str, str, int | None, int | None, str | None, str | None]:
    return one.namespace, one.event, one.messageset, one.number, one.what, one.value


def _follow(tx: Transaction, pairs: Pairs, now: int) -> tuple[list[Decision], list[Event]]:
    """What was done, and what happened by it."""
    if not pairs:
        return [], []
    hold_rules(tx, {one.namespace for _, one in pairs})
    decisions = decide(pairs, known(tx, pairs))
    made = _subscribe(tx, [one for one in decisions if one.outcome == SUBSCRIBED], now)
    _write_down(tx, decisions, made, now)
    return decisions, _unsubscribe(tx, [one for one in decisions if one.outcome == UNSUBSCRIBED], now)


def known(tx: Transaction, pairs: Pairs) -> Known:
    people = {(one.namespace, one.identity) for _, one in pairs}
    places = {(one.namespace, one.identity, rule.target) for rule, one in pairs}
    subscribed = tx.each(
        "SELECT DISTINCT r.namespace, r.identity, r.target FROM {rows} JOIN messaging_subscriptions s"
        " ON s.namespace = r.namespace AND s.identity = r.identity AND s.messageset = r.target"
        " WHERE s.active = 1 AND s.completed = 0",
        "namespace TEXT, identity TEXT, target BIGINT",
        sorted(places),
    )
    fired = tx.each(
        "SELECT r.rule, r.cause FROM {rows} JOIN messaging_firings f ON f.rule = r.rule AND f.cause = r.cause",
        "rule BIGINT, cause TEXT",
        sorted({(rule.id, one.cause) for rule, one in pairs}),
    )
    return Known(
        _people(tx, people),
        frozenset((namespace, identity, target) for namespace, identity, target in subscribed),
        frozenset((rule, cause) for rule, cause in fired),
    )


def _people(tx: Transaction, these: set[tuple[str, str]]) -> dict[tuple[str, str], Details]:
    rows = tx.each(
        "SELECT p.namespace, p.id, p.lang, p.timezone, p.metadata FROM messaging_identities p JOIN {rows}"
        " ON p.namespace = r.namespace AND p.id = r.id",
        "namespace TEXT, id TEXT",
        sorted(these),
    )
    return {(namespace, id): events.details(*rest) for namespace, id, *rest in rows}


def _subscribe(tx: Transaction, decisions: list[Decision], now: int) -> dict[tuple[int, str], str]:
    """The new ids, by rule and cause."""
    sets = SETS.find_all(tx, {one.rule.target for one in decisions}, kept=True)
    made = {(one.rule.id, one.event.cause): new_uuid() for one in decisions}
    tx.each(
        "INSERT INTO messaging_subscriptions (id, namespace, identity, messageset, lang, schedule, rule_depth,"
        " next_sequence_number, initial_sequence_number, version, active, completed, process_status, created_at,"
        " updated_at) SELECT r.*, r.number, 1, 1, 0, 0, CAST(:now AS BIGINT), CAST(:now AS BIGINT) FROM {rows}",
        "id TEXT, namespace TEXT, identity TEXT, target BIGINT, lang TEXT, schedule BIGINT, depth BIGINT,"
        " number BIGINT",
        [
            (made[rule.id, event.cause], event.namespace, event.identity, rule.target, lang,
             rule.schedule or sets[rule.target].default_schedule, event.depth + 1, rule.first_number)
            for rule, event, _, lang in decisions
        ],
        now=now,
    )  # fmt: skip
    return made


def _write_down(tx: Transaction, decisions: list[Decision], made: dict[tuple[int, str], str], now: int) -> None:
    tx.each(
        "INSERT INTO messaging_firings (namespace, rule, cause, identity, outcome, subscription, created_at)"
        " SELECT r.*, CAST(:now AS BIGINT) FROM {rows}",
        "namespace TEXT, rule BIGINT, cause TEXT, identity TEXT, outcome TEXT, subscription TEXT",
        [
            (event.namespace, rule.id, event.cause, event.identity, outcome, made.get((rule.id, event.cause)))
            for rule, event, outcome, _ in decisions
        ],
        now=now,
    )
    tx.each(
        "UPDATE messaging_rules SET fired = fired + r.count FROM {rows} WHERE messaging_rules.id = r.id",
        "id BIGINT, count BIGINT",
        list(Counter(one.rule.id for one in decisions).items()),
    )


def _unsubscribe(tx: Transaction, decisions: list[Decision], now: int) -> list[Event]:
    """Stop what is active there, with what is on its way; which is an opting out, too."""
    depths = {(e.namespace, e.identity, rule.target): e.depth + 1 for rule, e, _, _ in decisions}
    rows = tx.each(
        "SELECT s.number FROM messaging_subscriptions s JOIN {rows}"
        " ON s.namespace = r.namespace AND s.identity = r.identity AND s.messageset = r.target"
        " WHERE s.active = 1 AND s.completed = 0",
        "namespace TEXT, identity TEXT, target BIGINT",
        list(depths),
    )
    standing = locked_subscriptions(tx, [number for (number,) in rows])
    stopped = [one for one in standing if one.active and not one.completed]
    for one in stopped:
        recall(tx, one)
    tx.each(
        "UPDATE messaging_subscriptions SET active = 0, under_way = 0, updated_at = :now"
        " WHERE number IN (SELECT r.number FROM {rows})",
        "number BIGINT",
        [(one.number,) for one in stopped],
        now=now,
    )
    return [events.opted_out(one, depths[one.namespace, one.identity, one.messageset]) for one in stopped]
