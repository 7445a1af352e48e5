"""Stage rules: what happens leads to a subscription or ends one, once, in the same transaction."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from tests.families.messaging.house import NOW, House, opened
from undercroft.base.clock import DAY, HOUR
from undercroft.families.messaging import subscriptions
from undercroft.families.messaging.rules import trying
from undercroft.families.messaging.rules.firing import rules_for
from undercroft.families.messaging.rules.matching import ALREADY, MOST_CHAINED, NO_LANGUAGE, TOO_LONG, Event, is_meant
from undercroft.families.messaging.store import RULES
from undercroft.families.messaging.tables import Window

pytestmark = pytest.mark.anyio
ANN, BEN = "+27820001001", "+27820001002"


async def with_onward(house: House) -> None:
    """A second set, `onward`, of one message, and a third, `farewell`."""
    for id, name in ((2, "onward"), (3, "farewell")):
        await house.made("messageset/", short_name=name, default_schedule=1, channel="webhook:hook")
        await house.made("message/", messageset=id, sequence_number=1, lang="eng", text_content=name)


async def rule(house: House, event: str = "completed", **fields: Any) -> Any:
    given = {"name": event, "event": event, "action": "subscribe", "target": 2, **fields}
    if event in ("completed", "reached", "opted_out"):
        given.setdefault("messageset", 1)
    return await house.made("rules/", **given)


async def subscribed(house: House, messageset: int, identity: str = ANN) -> list[dict[str, Any]]:
    path = f"subscriptions/?messageset={messageset}&identity={identity.replace('+', '%2B')}"
    found: list[dict[str, Any]] = (await house.get(path))["results"]
    return found


async def outcomes(house: House, id: int) -> list[str]:
    return [one["outcome"] for one in (await house.get(f"rules/{id}/firings/"))["results"]]


async def send_all(house: House, times: int) -> None:
    for _ in range(times):
        assert (await house.call("POST", "schedule/1/send/")).status == 202
        await house.go_on()


async def test_who_completes_or_reaches_a_message_is_subscribed_once(house: House) -> None:
    await with_onward(house)
    await rule(house, "reached", number=1, target=3, first_number=1)
    await rule(house, "completed")
    first = await house.subscribe(ANN)
    await send_all(house, 1)
    assert await subscribed(house, 2) == [] and len(await subscribed(house, 3)) == 1
    await send_all(house, 1)
    [made] = await subscribed(house, 2)
    assert (made["lang"], made["schedule"], made["next_sequence_number"]) == ("eng", 1, 1)
    assert (await house.get("rules/2/"))["fired"] == 1

    # The same end once more, by hand and by sending, has its cause already.
    back = {"completed": False, "active": True, "process_status": 0}
    assert (await house.call("PATCH", f"subscriptions/{first}/", back)).status == 200
    await send_all(house, 1)
    assert (await house.subscription(first))["completed"]
    assert len(await subscribed(house, 2)) == 1 and await outcomes(house, 2) == ["subscribed"]


async def test_only_whom_the_conditions_mean(house: House) -> None:
    await with_onward(house)
    await rule(house, conditions={"city": ["Lagos", "Abuja"], "left": None}, lang="eng", schedule=1, first_number=4)
    people = {"a": {"city": "Lagos"}, "b": {"city": "Kano"}, "c": {"city": "Abuja", "left": True}, "d": {}}
    for name, metadata in people.items():
        await house.made("identities/", id=name, metadata=metadata, addresses=[f"{name}@example.org"])
        await house.subscribe(name, next_sequence_number=2)
    await house.subscribe("a", next_sequence_number=2, lang="fra")
    await send_all(house, 1)
    assert {name for name in people if await subscribed(house, 2, name)} == {"a"}
    assert (await subscribed(house, 2, "a"))[0]["next_sequence_number"] == 4


async def test_what_an_identity_gets(house: House) -> None:
    await with_onward(house)
    await rule(house, "address", address_type="email")
    await rule(house, "field", field="pregnant", value=True, target=3, default_lang="eng")
    put = "identities/ann/"
    await house.call("PUT", put, {"addresses": [ANN], "metadata": {"pregnant": "true"}})
    assert await subscribed(house, 2, "ann") == await subscribed(house, 3, "ann") == []
    await house.call("PUT", put, {"addresses": [ANN, "ann@example.org"], "metadata": {"pregnant": True}})
    assert len(await subscribed(house, 3, "ann")) == 1
    assert await outcomes(house, 1) == [NO_LANGUAGE]
    await house.call("PUT", "identities/ben/", {"lang": "fra", "addresses": ["ben@example.org"]})
    assert [one["lang"] for one in await subscribed(house, 2, "ben")] == ["fra"]
    for addresses in ([], ["ben@example.com"]):  # the second address of the kind is no news
        await house.call("PUT", "identities/ben/", {"addresses": addresses})
    assert len(await subscribed(house, 2, "ben")) == 1


async def test_opting_out_ends_others_and_what_is_under_way(house: House) -> None:
    await with_onward(house)
    await rule(house, "opted_out", action="unsubscribe", target=2)
    await rule(house, "opted_out", messageset=2, target=3)
    first, second = await house.subscribe(ANN), await house.subscribe(ANN, messageset=2)
    assert (await house.call("POST", f"subscriptions/{second}/send")).status == 201
    link = (await house.get(f"subscriptions/{first}/optout"))["url"]
    assert (await house.call("POST", "/api" + link.partition("/api")[2], b"")).status == 200
    assert not (await house.subscription(second))["active"]
    assert (await house.get(f"subscriptions/{second}/sends"))["results"] == []
    # To be unsubscribed by a rule is an opting out, too: the second rule saw it in the same transaction.
    assert len(await subscribed(house, 3)) == 1


async def test_a_circle_is_told_and_ends(house: House) -> None:
    await with_onward(house)
    await rule(house, messageset=1, target=2)
    assert not (await house.get("rules/1/preview"))["leads_back"]
    await rule(house, messageset=2, target=1, first_number=2)
    assert (await house.get("rules/1/preview"))["leads_back"] and (await house.get("rules/2/preview"))["leads_back"]
    await house.subscribe(ANN, next_sequence_number=2)
    await send_all(house, MOST_CHAINED + 3)
    assert len(await subscribed(house, 1)) + len(await subscribed(house, 2)) == MOST_CHAINED + 1
    assert (await outcomes(house, 1) + await outcomes(house, 2)).count(TOO_LONG) == 1


async def test_a_dry_run_says_whom_it_would_subscribe_and_apply_does_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "PER_STEP", 2)
    await with_onward(house)
    people = [f"+2782000{n:04d}" for n in range(5)]
    for one in people:
        await house.subscribe(one, next_sequence_number=2)
    await send_all(house, 1)
    await house.subscribe(people[0], messageset=2)
    thought = {"name": "x", "event": "completed", "messageset": 1, "action": "subscribe", "target": 2}
    seen, url = [], "rules/preview"
    while url:
        page = (await house.call("POST", url.removeprefix("http://house.example:3862"), thought)).json
        seen += page["results"]
        url = page["next"]
    assert {one["identity"]: one["outcome"] for one in seen} == {
        **dict.fromkeys(people, "subscribed"), people[0]: ALREADY
    }  # fmt: skip
    assert (await house.get("rules/"))["results"] == [] and len(await subscribed(house, 2, people[1])) == 0

    await rule(house)
    assert [one["outcome"] for one in (await house.get("rules/1/preview"))["results"]] == ["subscribed"] * 2
    answer = await house.call("POST", "rules/1/apply")
    assert tuple(answer) == (200, {"outcomes": {"subscribed": 4, ALREADY: 1}})
    assert (await house.call("POST", "rules/1/apply/")).json == {"outcomes": {}}
    assert all([len(await subscribed(house, 2, one)) == 1 for one in people])
    await house.call("PATCH", "rules/1/", {"active": False})
    assert (await house.call("POST", "rules/1/apply")).status == 400


async def test_a_dry_run_names_those_to_whom_it_has_happened_and_nobody_else(house: House) -> None:
    await with_onward(house)
    await house.made("message/", messageset=1, sequence_number=3, lang="eng", text_content="three")
    for name, lang, address in (("ann", "eng", "ann@example.org"), ("ben", "fra", ANN), ("cat", None, BEN)):
        await house.made("identities/", id=name, lang=lang, addresses=[address], metadata={"city": lang})
        await house.subscribe(name)
    await house.subscribe("late", initial_sequence_number=3, next_sequence_number=3)
    await house.subscribe("elsewhere", lang="fra")
    stopped = await house.subscribe("stopped")
    for name, changes in (
        ("ben", {"next_sequence_number": 2}),
        ("cat", {"next_sequence_number": 3, "completed": True}),
        ("stopped", {"active": False}),
        ("elsewhere", {"next_sequence_number": 2}),
    ):
        [one] = await subscribed(house, 1, name)
        assert (await house.call("PATCH", f"subscriptions/{one['id']}/", changes)).status == 200
    assert not (await house.subscription(stopped))["active"]

    for event, more, names in (
        ("reached", {"number": 1}, {"ben", "cat"}),
        ("reached", {"number": 2}, {"cat"}),
        ("reached", {"number": 3}, {"cat"}),
        ("reached", {"number": 4}, set()),
        ("completed", {}, {"cat"}),
        ("opted_out", {}, {"stopped"}),
        ("address", {"address_type": "email"}, {"ann"}),
        ("address", {}, {"ann", "ben", "cat"}),
        ("field", {"field": "city"}, {"ann", "ben"}),
        ("field", {"field": "lang", "value": "fra"}, {"ben"}),
    ):  # fmt: skip
        made = await rule(house, event, target=3, default_lang="eng", **more)
        found = (await house.get(f"rules/{made['id']}/preview"))["results"]
        assert {one["identity"] for one in found} == names, (event, more)


async def test_fast_forward_tells_rules_what_it_went_past(house: House) -> None:
    await with_onward(house)
    await rule(house, "reached", number=1, target=3)
    await rule(house, "completed")
    id = await house.subscribe(ANN)
    house.clock.now = NOW + 3 * DAY + 9 * HOUR
    assert (await house.call("POST", f"subscriptions/{id}/fast-forward")).status == 200
    assert len(await subscribed(house, 2)) == len(await subscribed(house, 3)) == 1


async def test_two_who_end_each_other_do_not_wait_for_each_other(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stops a subscription, whose rule stops the other one: with both locked first, neither could go on."""
    async with opened(postgres_url) as house:
        await house.make_series()
        await with_onward(house)
        await rule(house, "opted_out", messageset=1, action="unsubscribe", target=2)
        await rule(house, "opted_out", messageset=2, action="unsubscribe", target=1)
        both = [await house.subscribe(ANN), await house.subscribe(ANN, messageset=2)]
        locked, together = [], threading.Barrier(2, timeout=0.3)
        really_require = subscriptions.require

        def require(*args: Any, **more: Any) -> Any:
            found = really_require(*args, **more)
            locked.append(found.id)
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait()
            return found

        monkeypatch.setattr(subscriptions, "require", require)
        stops = (house.call("PATCH", f"subscriptions/{id}/", {"active": False}) for id in both)
        assert [answer.status for answer in await asyncio.gather(*stops)] == [200, 200]
        assert sorted(locked) == sorted(both), "neither had to be undone and run again"
        monkeypatch.undo()
        assert not any([(await house.subscription(id))["active"] for id in both])


async def test_rules_are_found_by_what_they_mean(house: House) -> None:
    """Those that the model's `is_meant` names, of all; and no statement brings others along."""
    await with_onward(house)
    for messageset in (1, 2, 3):
        await rule(house, "completed", messageset=messageset)
        await rule(house, "opted_out", messageset=messageset, address_type="email")
        for number in (1, 2):
            await rule(house, "reached", messageset=messageset, number=number)
    for kind in (None, "email", "msisdn"):
        await rule(house, "address", address_type=kind)
    for field, value in (("a", None), ("a", 1), ("a", "1"), ("b", 1)):
        await rule(house, "field", field=field, value=value)
    await rule(house, "completed", active=False)

    words = ("completed", "opted_out", "reached", "address", "field")
    happened = [
        Event(word, "c", place, ANN, messageset, number, what, value)
        for word in words for place in ("default", "other") for messageset in (None, 1, 3, 9) for number in (None, 1, 7)
        for what in (None, "email", "a", "b") for value in (None, "1", '"1"')
    ]  # fmt: skip
    place = (await house.database.read(lambda tx: tx.one("SELECT namespace FROM messaging_rules")) or ("",))[0]
    happened = [one._replace(namespace=place) if one.namespace == "default" else one for one in happened]
    rules = await house.database.read(lambda tx: RULES.page(tx, place, Window(1_000, None, True), []))
    rules.sort(key=lambda one: one.id)
    found = await house.database.read(rules_for, happened)
    assert found == [(rule, one) for one in happened for rule in rules if is_meant(rule, one)] != []


RULE = {"name": "r", "event": "completed", "messageset": 1, "action": "subscribe", "target": 1}
NEEDED = "This field is required where the event is {}."
MEANS_NOTHING = "This means nothing where the event is {}. Leave it out, or write null."
WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"event": "born"}, {"event": ['"born" is not a valid choice.']}),
    ({"action": ["x"]}, {"action": ['"["x"]" is not a valid choice.']}),
    ({"target": 9}, {"target": ['Invalid pk "9" - object does not exist.']}),
    ({"target": None}, {"target": ["This field may not be null."]}),
    ({"schedule": 9}, {"schedule": ['Invalid pk "9" - object does not exist.']}),
    ({"messageset": None}, {"messageset": [NEEDED.format("completed")]}),
    ({"event": "reached"}, {"number": [NEEDED.format("reached")]}),
    ({"number": 1}, {"number": [MEANS_NOTHING.format("completed")]}),
    ({"event": "field"}, {"messageset": [MEANS_NOTHING.format("field")], "field": [NEEDED.format("field")]}),
    ({"value": {}}, {"value": ["Expected a text, a number, true or false."]}),
    ({"value": 10**1_000}, {"value": ["Ensure this field has no more than 1000 characters."]}),
    ({"conditions": []}, {"conditions": ['Expected an object of up to 20 fields, such as {"city": "Lagos"}.']}),
    ({"conditions": {"a": []}}, {"conditions": ["a: expected a value, or a list of up to 50 of them."]}),
    ({"conditions": {"a": {"b": 1}}}, {"conditions": ["Expected a text, a number, true or false."]}),
    ({"conditions": {"a\0": 1}}, {"conditions": ["Null characters are not allowed."]}),
    ({"address_type": "fax"}, {"address_type": ['"fax" is not a valid choice.']}),
    ({"name": "x" * 101}, {"name": ["Ensure this field has no more than 100 characters."]}),
]


async def test_what_is_wrong_with_a_rule_is_said(house: House) -> None:
    for change, words in WRONG:
        assert tuple(await house.call("POST", "rules/", {**RULE, **change})) == (400, words), change
    assert (await house.get("rules/"))["results"] == []
    made = await house.made("rules", **RULE)
    assert made["conditions"] == {} and made["value"] is None and made["active"] is True
    assert tuple(await house.call("PATCH", "rules/1", {"event": "reached"}))[1] == {
        "number": [NEEDED.format("reached")]
    }  # fmt: skip
    assert (await house.call("PATCH", "rules/1/", {"event": "reached", "number": 3})).json["number"] == 3
    for path in ("messageset/1/", "schedule/1/"):
        assert (await house.call("DELETE", path)).status == 409
    assert (await house.call("DELETE", "rules/1/")).status == 204
    assert (await house.call("GET", "rules/1/preview")).status == 404
    assert (await house.call("GET", "rules/1/firings?namespace=other")).status == 404
