"""Which rules do what, against a slow and obvious model."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from undercroft.families.messaging.rules.matching import (
    ADDRESS,
    COMPLETED,
    FIELD,
    MOST_CHAINED,
    OF_SUBSCRIPTIONS,
    REACHED,
    Details,
    Event,
    Known,
    Rule,
    decide,
    leads_back,
    text_of,
)

SETS, PEOPLE, VALUES = (1, 2), ("ann", "ben"), (1, 1.0, True, "1", "x", None)
JSON_VALUES = [text_of(value) for value in VALUES if value is not None]
CONDITIONS = st.dictionaries(
    st.sampled_from(["a", "lang"]), st.sampled_from(VALUES) | st.lists(st.sampled_from(VALUES), min_size=1, max_size=2)
)
RULES = st.builds(
    Rule, id=st.integers(1, 4), namespace=st.sampled_from(["n", "n", "n", "m"]), name=st.just(""),
    event=st.sampled_from([COMPLETED, REACHED, ADDRESS, FIELD]), messageset=st.sampled_from(SETS),
    number=st.integers(1, 2), address_type=st.sampled_from([None, "email"]), field=st.just("a"),
    value=st.sampled_from([None, *JSON_VALUES]), lang=st.sampled_from([None, "eng"]),
    conditions=(st.just({}) | CONDITIONS).map(text_of), action=st.sampled_from(["subscribe", "unsubscribe"]),
    target=st.sampled_from(SETS), schedule=st.none(), first_number=st.just(1),
    default_lang=st.sampled_from([None, "fra"]), active=st.sampled_from([0, 1, 1]), fired=st.just(0),
    created_at=st.just(0), updated_at=st.just(0),
)  # fmt: skip
EVENTS = st.builds(
    Event, event=st.sampled_from([COMPLETED, REACHED, ADDRESS, FIELD]), cause=st.sampled_from("pqrs"),
    namespace=st.just("n"), identity=st.sampled_from(PEOPLE), messageset=st.sampled_from(SETS),
    number=st.integers(1, 2), what=st.sampled_from(["a", "email", "msisdn"]), value=st.sampled_from(JSON_VALUES),
    lang=st.sampled_from([None, "eng", "fra"]), depth=st.sampled_from([0, MOST_CHAINED - 1, MOST_CHAINED]),
)  # fmt: skip
DETAILS = st.builds(
    Details, lang=st.sampled_from([None, "eng"]), fields=st.dictionaries(st.just("a"), st.sampled_from(JSON_VALUES))
)
KNOWN = st.builds(
    Known,
    people=st.dictionaries(st.tuples(st.just("n"), st.sampled_from(PEOPLE)), DETAILS),
    subscribed=st.frozensets(st.tuples(st.just("n"), st.sampled_from(PEOPLE), st.sampled_from(SETS))),
    fired=st.frozensets(st.tuples(st.integers(1, 4), st.sampled_from("pqrs"))),
)


def obvious(rule: Rule, event: Event, known: Known) -> str | None:
    """What one rule does about one event; None where it means nothing to it."""
    person = known.people.get(("n", event.identity)) or Details(None, {})
    lang = event.lang if event.lang else person.lang
    waits_for: dict[str, Any] = {COMPLETED: (event.messageset,), REACHED: (event.messageset, event.number)}
    has: dict[str, Any] = {COMPLETED: (rule.messageset,), REACHED: (rule.messageset, rule.number)}
    if not rule.active or rule.namespace != "n" or rule.event != event.event or (rule.id, event.cause) in known.fired:
        return None
    if (
        (rule.event in OF_SUBSCRIPTIONS and waits_for[rule.event] != has[rule.event])
        or (rule.event == ADDRESS and rule.address_type and rule.address_type != event.what)
        or (rule.event == FIELD and (event.what != "a" or (rule.value and rule.value != event.value)))
        or (rule.lang and rule.lang != lang)
    ):
        return None
    for name, value in json.loads(rule.conditions).items():
        mine = person.fields.get(name)
        alternatives = value if isinstance(value, list) else [value]
        if not any(mine is None if one is None else mine == json.dumps(one) for one in alternatives):
            return None
    there = ("n", event.identity, rule.target) in known.subscribed
    if event.depth >= MOST_CHAINED:
        return "the chain"
    if rule.action == "unsubscribe":
        return "unsubscribed" if there else "is not"
    return "is subscribed" if there else "subscribed" if lang or rule.default_lang else "no language"


@given(RULES, EVENTS, KNOWN)
def test_one_rule_does_what_it_says(rule: Rule, event: Event, known: Known) -> None:
    expected = obvious(rule, event, known)
    decided = [one.outcome for one in decide([(rule, event)], known)]
    assert len(decided) == (expected is not None)
    assert expected is None or decided[0].startswith(expected)


@given(st.lists(st.tuples(RULES, EVENTS), max_size=12), KNOWN)
def test_many_are_done_one_after_the_other_and_each_once(pairs: list[tuple[Rule, Event]], known: Known) -> None:
    decided = decide(pairs, known)
    now, left = known, list(pairs)
    for one in decided:
        while left[0] != (one.rule, one.event) or obvious(*left[0], now) is None:
            assert obvious(*left.pop(0), now) is None
        assert one.outcome.startswith(obvious(*left.pop(0), now) or "nothing")
        place = {("n", one.event.identity, one.rule.target)}
        subscribed = now.subscribed | place if one.outcome == "subscribed" else now.subscribed
        subscribed = subscribed - place if one.outcome == "unsubscribed" else subscribed
        now = Known(now.people, subscribed, now.fired | {(one.rule.id, one.event.cause)})
    assert all(obvious(*pair, now) is None for pair in left)
    assert decide(pairs, now) == []
    assert len(decide([*pairs, *pairs], known)) == len(decided)


@given(st.dictionaries(st.sampled_from(SETS), st.sets(st.sampled_from(SETS))), st.sampled_from(SETS))
def test_a_circle_is_found(onward: dict[int, set[int]], begin: int) -> None:
    there = {begin}
    for _ in SETS:
        there |= {far for near in there for far in onward.get(near, set())}
    assert [leads_back(begin, one, onward) for one in SETS] == [one in there for one in SETS]
