"""People opt out, are moved and are sent to again at the very moment when something is on its way to them."""

import uuid
from typing import Any

import pytest

from tests.families.messaging.house import EIGHT, TOKEN, House, link_of, opt_out, resend
from undercroft.base.clock import DAY, HOUR, MINUTE
from undercroft.database import Transaction
from undercroft.families.messaging import optout, runs
from undercroft.families.messaging.model import Subscription

pytestmark = pytest.mark.anyio


async def test_looking_at_a_link_is_no_turn_of_the_writer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unsigned = "/api/v1/optout/" + optout.token("guessed", str(uuid.uuid4()))
    for method in ("GET", "POST"):
        assert (await house.call(method, unsigned, authorization=None)).status == 404
    assert await house.database.read(optout.known_secret) is None

    link = await link_of(house, await house.subscribe())
    monkeypatch.setattr(type(house.database), "write", None)
    assert (await house.call("GET", link, authorization=None)).status == 200
    assert (await house.call("POST", unsigned, authorization=None)).status == 404


async def hours_pass(house: House, hours: int = 20) -> None:
    for _ in range(hours):
        await house.at(house.clock.now + HOUR)


async def test_what_fails_after_an_opt_out_is_not_tried_again(house: House) -> None:
    id = await house.subscribe()
    link = await link_of(house, id)
    house.receiver.status["+27820001001"] = 500
    house.receiver.meanwhile = lambda: opt_out(house, link)
    await house.call("POST", "schedule/1/send/")
    await house.go_on()
    await hours_pass(house)
    assert len(house.receiver.sent) == 1
    assert (await house.get("failed-tasks/"))["results"] == []


async def test_what_is_sent_again_is_taken_back_as_well(house: House) -> None:
    id = await house.subscribe()
    await house.at(EIGHT)
    house.receiver.status["+27820001001"] = 500
    await resend(house, id)
    await opt_out(house, await link_of(house, id))
    await hours_pass(house)
    assert len(house.receiver.sent) == 2


async def test_a_removed_subscription_is_sent_nothing_more(house: House) -> None:
    id = await house.subscribe()
    house.receiver.status["+27820001001"] = 500

    async def remove() -> None:
        await house.call("DELETE", f"subscriptions/{id}/")

    house.receiver.meanwhile = remove
    await house.call("POST", "schedule/1/send/")
    await house.go_on()
    await hours_pass(house)
    assert len(house.receiver.sent) == 1


async def test_nothing_is_sent_again_to_who_wants_no_more(house: House) -> None:
    id = await house.subscribe()
    await house.at(EIGHT)
    await opt_out(house, await link_of(house, id))
    await resend(house, id)
    assert len(house.receiver.sent) == 1


async def test_the_link_of_a_message_ends_what_followed_its_set(house: House) -> None:
    await house.made("messageset/", short_name="then", default_schedule=1, channel="webhook:hook")
    await house.made("message/", messageset=2, sequence_number=5, lang="eng", text_content="five")
    await house.call("PATCH", "messageset/1/", {"next_set": 2})
    id = await house.subscribe(next_sequence_number=2)
    elsewhere = await house.subscribe("+27820001002", messageset=2, next_sequence_number=5)
    link = await link_of(house, id)
    await house.at(EIGHT)
    await opt_out(house, link)
    by_identity = {one["identity"]: one for one in (await house.get("subscriptions/?active=true"))["results"]}
    assert set(by_identity) <= {"+27820001002"}
    await house.at(EIGHT + DAY)
    assert ("+27820001001", "five") not in house.receiver.said
    assert ("+27820001002", "five") in house.receiver.said, elsewhere


async def test_a_set_that_follows_begins_with_its_first_message(house: House) -> None:
    await house.made("messageset/", short_name="then", default_schedule=1, channel="webhook:hook")
    await house.made("message/", messageset=2, sequence_number=5, lang="eng", text_content="five")
    await house.call("PATCH", "messageset/1/", {"next_set": 2})
    await house.subscribe(next_sequence_number=2)
    await house.at(EIGHT)
    await house.at(EIGHT + DAY)
    assert [said for _, said in house.receiver.said] == ["two", "five"]


async def test_a_set_with_gaps_sends_its_last_message_again(house: House) -> None:
    await house.made("message/", messageset=1, sequence_number=10, lang="eng", text_content="ten")
    id = await house.subscribe(next_sequence_number=2)
    await house.at(EIGHT)
    assert (await house.subscription(id))["next_sequence_number"] == 10
    await resend(house, id)
    assert [said for _, said in house.receiver.said] == ["two", "two"]


async def test_a_failed_resend_is_sent_again_and_nothing_else(house: House) -> None:
    id = await house.subscribe()
    await house.at(EIGHT)
    house.receiver.status["+27820001001"] = 500
    await resend(house, id)
    while not (await house.get("failed-tasks/"))["results"]:
        await house.at(house.clock.now + HOUR // 4)
    house.receiver.status["+27820001001"] = 200
    house.receiver.sent.clear()
    assert (await house.call("POST", "failed-tasks/")).status == 201
    await house.go_on()
    assert [(body["content"], body["resend"]) for body, _ in house.receiver.sent] == [("one", "true")]
    assert (await house.subscription(id))["next_sequence_number"] == 2


async def test_what_died_long_ago_is_not_replayed_past_the_subscription(house: House) -> None:
    id = await house.subscribe()
    house.receiver.status["+27820001001"] = 500
    await house.call("POST", "schedule/1/send/")
    await house.go_on()
    while not (failed := (await house.get("failed-tasks/"))["results"]):
        await house.at(house.clock.now + HOUR // 4)
    house.receiver.status["+27820001001"] = 200
    await house.call("POST", f"subscriptions/{id}/send")
    await house.go_on()
    house.receiver.sent.clear()
    await opt_out(house, await link_of(house, id))
    assert await replay(house, failed[0]["id"]) == 303
    await house.go_on()
    assert house.receiver.sent == []


async def test_a_replay_of_what_is_still_wanted_moves_the_subscription_on(house: House) -> None:
    id = await house.subscribe()
    house.receiver.status["+27820001001"] = 500
    await house.call("POST", "schedule/1/send/")
    while not (failed := (await house.get("failed-tasks/"))["results"]):
        await house.at(house.clock.now + HOUR // 4)
    house.receiver.status["+27820001001"] = 200
    await replay(house, failed[0]["id"])
    await house.go_on()
    assert (await house.subscription(id))["next_sequence_number"] == 2


async def replay(house: House, id: int) -> int:
    """With the button of the pages."""
    same = {"sec_fetch_site": "same-origin", "content_type": "application/x-www-form-urlencoded"}
    entered = await house.call("POST", "/signin", f"token={TOKEN}".encode(), authorization=None, **same)
    cookie = entered.headers[b"set-cookie"].decode().partition(";")[0]
    form = f"id={id}".encode()
    return (await house.call("POST", "/dashboard/replay", form, authorization=None, cookie=cookie, **same)).status


async def test_later_attempts_keep_to_quiet_hours(house: House) -> None:
    await house.call("PATCH", "messageset/1/", {"quiet_from": "08:10", "quiet_until": "20:00"})
    await house.subscribe()
    house.receiver.status["+27820001001"] = 500
    for minute in range(0, 12 * 60 + 10, 5):
        await house.at(EIGHT + minute * MINUTE)
        if minute == 10:
            before = len(house.receiver.sent)
    assert before >= 1
    assert len(house.receiver.sent) == before + 1


async def test_a_run_with_a_fault_keeps_no_other_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.made("schedule/", minute="0", hour="9")
    await house.subscribe()
    await house.subscribe("+27820001002", schedule=2)
    queue_messages = runs.queue_messages

    def with_a_fault(tx: Transaction, namespace: str, these: list[Subscription], *more: Any) -> Any:
        if any(one.schedule == 1 for one in these):
            raise KeyError(224)
        return queue_messages(tx, namespace, these, *more)

    monkeypatch.setattr(runs, "queue_messages", with_a_fault)
    await house.call("POST", "schedule/1/send/")
    house.clock.now += 1
    await house.call("POST", "schedule/2/send/")
    [step] = [loop.step for loop in house.parts.loops if loop.name == "message runs"]
    for _ in range(4):
        house.clock.now += 1
        await step(house.clock())
    await house.go_on()
    assert house.receiver.said == [("+27820001002", "one")]
