"""From a schedule's moment to the receiver, and what follows."""

import pytest

from tests.families.messaging.house import EIGHT, TOKEN, House
from undercroft.app.application import Head
from undercroft.base.clock import DAY, HOUR, SECOND

pytestmark = pytest.mark.anyio


async def test_schedules_fire_by_themselves_and_each_moves_on(house: House) -> None:
    id = await house.subscribe()
    await house.at(EIGHT - 1)
    assert house.receiver.said == []
    await house.at(EIGHT)
    assert house.receiver.said == [("+27820001001", "one")]
    assert (await house.subscription(id))["next_sequence_number"] == 2
    await house.at(EIGHT + DAY)
    assert [said for _, said in house.receiver.said] == ["one", "two"]
    end = await house.subscription(id)
    assert (end["active"], end["completed"], end["process_status"], end["next_sequence_number"]) == (False, True, 2, 2)
    await house.at(EIGHT + 2 * DAY)
    assert len(house.receiver.sent) == 2


async def test_what_is_posted(house: House) -> None:
    await house.subscribe(metadata={"prepend_next_delivery": "Hello!", "kept": 1})
    await house.call("PATCH", "message/1/", {"metadata": {"a": 1}, "text_content": "Stop: {{opt_out_url}}"})
    assert tuple(await house.call("POST", "schedule/1/send/")) == (202, {})
    await house.go_on()
    body = house.receiver.sent[0][0]
    content = body.pop("content")
    assert body == {
        "to_addr": "+27820001001",
        "to_identity": "+27820001001",
        "delivered": "false",
        "resend": "false",
        "metadata": {"a": 1},
        "channel": "webhook:hook",
    }
    assert list(house.receiver.sent[0][0]) == ["to_addr", "to_identity", "delivered", "resend", "metadata", "channel"]
    said, _, link = content.partition("Stop: ")
    assert said == "Hello!\n"
    path = link.partition("3862")[2]
    assert (await house.call("GET", path, authorization=None)).status == 200
    [one] = (await house.get("subscriptions/"))["results"]
    assert one["active"] and one["metadata"] == {"prepend_next_delivery": None, "kept": 1}
    assert (await house.call("POST", path, authorization=None)).status == 200
    assert not (await house.get("subscriptions/"))["results"][0]["active"]
    assert (await house.call("POST", path[:-1] + "x", authorization=None)).status == 404


async def test_what_fails_stays_where_it_is_and_comes_back(house: House) -> None:
    id = await house.subscribe()
    house.receiver.status["+27820001001"] = 500
    await house.at(EIGHT)
    tried = len(house.receiver.sent)
    assert tried == 1
    while len(house.receiver.sent) < 8:
        await house.at(house.clock.now + HOUR)
    [task] = (await house.get("failed-tasks/"))["results"]
    assert task["subscription_id"] == id and "500" in task["reason"]
    assert (await house.get(f"failed-tasks/{task['id']}"))["task_id"] == task["task_id"]
    assert (await house.subscription(id))["next_sequence_number"] == 1
    assert len({webhook_id for _, webhook_id in house.receiver.sent[:8]}) == 1
    house.receiver.status["+27820001001"] = 200
    assert tuple(await house.call("POST", "failed-tasks/")) == (201, {"requeued_failed_tasks": True})
    await house.go_on()
    assert (await house.get("failed-tasks/"))["results"] == []
    assert (await house.subscription(id))["next_sequence_number"] == 2


async def test_two_firings_send_no_message_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.families.messaging.runs.PER_STEP", 2)
    for n in range(3):
        await house.subscribe(f"+2782000100{n}")
    await house.call("POST", "schedule/1/send/")
    [step] = [loop.step for loop in house.parts.loops if loop.name == "message runs"]
    assert await step(house.clock())
    await house.call("POST", "schedule/1/send")
    await house.go_on()
    assert sorted(house.receiver.said) == sorted(set(house.receiver.said))
    runs = (await house.get("runs/"))["results"]
    assert [run["finished_at"] is not None for run in runs] == [True, True]


async def test_send_now_says_why_not(house: House) -> None:
    id = await house.subscribe()
    assert tuple(await house.call("POST", f"subscriptions/{id}/send")) == (201, {"accepted": True})
    status, refused = await house.call("POST", f"subscriptions/{id}/send/")
    assert status == 400 and refused == {
        "accepted": False, "reason": "A message of this subscription is under way already"
    }  # fmt: skip
    await house.go_on()
    assert (await house.call("POST", f"subscriptions/{id}/send")).status == 201
    await house.go_on()
    status, refused = await house.call("POST", f"subscriptions/{id}/send")
    assert status == 400 and "completed" in refused["reason"]
    status, refused = await house.call("POST", "subscriptions/nonsense/send")
    assert status == 400 and "nonsense" in refused["reason"]
    nobody = await house.subscribe("nobody")
    status, refused = await house.call("POST", f"subscriptions/{nobody}/send")
    assert status == 400 and "address" in refused["reason"]


async def test_resend_repeats_the_last_one_and_nothing_moves(house: House) -> None:
    id = await house.subscribe(next_sequence_number=2)
    assert tuple(await house.call("POST", f"subscriptions/{id}/resend")) == (202, {"accepted": True})
    await house.go_on()
    assert house.receiver.said == [("+27820001001", "one")]
    assert house.receiver.sent[0][0]["resend"] == "true"
    assert (await house.subscription(id))["next_sequence_number"] == 2
    status, refused = await house.call("POST", f"subscriptions/{id[:-1]}x/resend")
    assert (status, refused["accepted"]) == (400, False)


async def test_the_next_set_follows(house: House) -> None:
    await house.made("messageset/", short_name="later", default_schedule=1, channel="webhook:hook")
    await house.made("message/", messageset=2, sequence_number=1, lang="eng", text_content="three")
    await house.call("PATCH", "messageset/1/", {"next_set": 2})
    await house.subscribe(next_sequence_number=2)
    await house.at(EIGHT)
    assert [said for _, said in house.receiver.said] == ["two"]
    [fresh, done] = (await house.get("subscriptions/"))["results"]
    assert (fresh["messageset"], fresh["next_sequence_number"], fresh["metadata"]) == (2, 1, None)
    assert done["completed"]
    await house.at(EIGHT + DAY)
    assert [said for _, said in house.receiver.said] == ["two", "three"]


async def test_who_has_no_address_is_set_aside(house: House) -> None:
    id = await house.subscribe("somebody")
    await house.at(EIGHT)
    assert (await house.subscription(id))["process_status"] == -1
    address = {"address": "+27820009999", "default": True}
    await house.made("identities/", id="somebody", addresses=["+27820000000", address, "a@example.org"])
    await house.call("POST", f"subscriptions/{id}/resend")
    await house.at(EIGHT + DAY)
    assert house.receiver.said == [("+27820009999", "one"), ("+27820009999", "one")]


async def test_no_message_of_that_number_changes_nothing(house: House) -> None:
    id = await house.subscribe(lang="fra")
    await house.at(EIGHT)
    one = await house.subscription(id)
    assert (one["active"], one["process_status"], one["next_sequence_number"]) == (True, 0, 1)


async def test_a_change_of_mind_takes_back_what_is_under_way(house: House) -> None:
    await house.call("PATCH", "messageset/1/", {"quiet_from": "00:00", "quiet_until": "12:00"})
    stopped, deleted = await house.subscribe("+27820001001"), await house.subscribe("+27820001002")
    await house.at(EIGHT)
    await house.call("PATCH", f"subscriptions/{stopped}/", {"active": False})
    assert (await house.call("DELETE", f"subscriptions/{deleted}/")).status == 204
    await house.at(EIGHT + 5 * HOUR)
    assert house.receiver.sent == []


async def test_a_change_while_it_is_being_sent_is_not_undone_by_its_end(house: House) -> None:
    id = await house.subscribe(next_sequence_number=2)
    house.receiver.meanwhile = lambda: house.call("PATCH", f"subscriptions/{id}/", {"next_sequence_number": 1})
    await house.at(EIGHT)
    assert [said for _, said in house.receiver.said] == ["two"]
    one = await house.subscription(id)
    assert (one["next_sequence_number"], one["active"], one["completed"]) == (1, True, False)


async def test_dry_run_sends_nothing_and_moves_on(house: House) -> None:
    await house.call("PATCH", "messageset/1/", {"dry_run": True})
    id = await house.subscribe()
    await house.at(EIGHT)
    assert house.receiver.sent == []
    assert (await house.subscription(id))["next_sequence_number"] == 2
    [kept] = (await house.get(f"subscriptions/{id}/sends"))["results"]
    assert kept["message"]["content"] == "one" and "not sent" in kept["reply"]


async def test_a_set_without_its_route_fails_where_people_look(house: House) -> None:
    await house.call("PATCH", "messageset/1/", {"channel": "webhook:gone"})
    id = await house.subscribe()
    await house.at(EIGHT)
    [task] = (await house.get("failed-tasks/"))["results"]
    assert task["subscription_id"] == id and task["reason"]
    await house.call("PATCH", "messageset/1/", {"channel": "webhook:hook"})
    await house.call("POST", "failed-tasks/")
    await house.go_on()
    assert house.receiver.said == [("+27820001001", "one")]


async def test_large_runs_go_in_steps_and_leave_nobody_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.families.messaging.runs.PER_STEP", 7)
    monkeypatch.setattr("undercroft.families.messaging.runs.MOST_AHEAD", 20)
    for n in range(50):
        await house.subscribe(f"+2782000{n:04d}")
    await house.call("POST", "schedule/1/send/")
    await house.at(house.clock.now + SECOND)
    assert len(house.receiver.said) == len(set(house.receiver.said)) == 50
    [run] = (await house.get("runs/"))["results"]
    assert (run["queued"], run["left"], run["skipped"]) == (50, 50, 0)


async def test_who_joins_during_a_run_is_not_part_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.subscribe()
    await house.call("POST", "schedule/1/send/")
    await house.subscribe("+27820001002")
    await house.go_on()
    assert [address for address, _ in house.receiver.said] == ["+27820001001"]


async def test_who_asks_for_a_send_again_and_again_waits_for_one(house: House) -> None:
    await house.subscribe()
    answers = [await house.call("POST", "schedule/1/send/") for _ in range(20)]
    assert len({answer.headers[b"location"] for answer in answers}) == 1
    await house.subscribe("+27820001002")
    await house.call("POST", "schedule/1/send/")
    await house.go_on()
    assert house.receiver.said == [("+27820001001", "one"), ("+27820001002", "one")]
    await house.call("POST", "schedule/1/send/")
    assert len((await house.get("runs/"))["results"]) == 2


@pytest.mark.parametrize(("path", "most"), [("schedule/", 2**20), ("messageset/1/import", 2**24)])
async def test_what_is_not_a_file_is_not_long(house: House, path: str, most: int) -> None:
    head = Head("POST", f"/api/v1/{path}".encode(), {b"authorization": f"Token {TOKEN}".encode()}, "127.0.0.1")
    assert house.parts.server.most_body(head) == most


async def test_a_message_by_mail_heeds_the_suppression_list(house: House) -> None:
    await house.made("messageset/", short_name="by-mail", default_schedule=1, channel="mail")
    await house.made("message/", messageset=2, sequence_number=1, lang="eng", text_content="one")
    for name in ("ann", "bob"):
        await house.subscribe(f"{name}@example.org", messageset=2)
    assert (await house.call("PUT", "/systems/suppressions/Ann@example.org")).status in (200, 201)
    await house.at(EIGHT)
    [failed] = (await house.get("failed-tasks/"))["results"]
    assert "suppression list" in failed["reason"]
    numbers = {one["identity"]: one["completed"] for one in (await house.get("subscriptions/"))["results"]}
    assert numbers == {"ann@example.org": False, "bob@example.org": True}


async def test_what_leaves_later_makes_room_for_the_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.families.messaging.runs.PER_STEP", 2)
    monkeypatch.setattr("undercroft.families.messaging.runs.MOST_AHEAD", 2)
    await house.call("PATCH", "messageset/1/", {"quiet_from": "00:00", "quiet_until": "23:59"})
    for n in range(6):
        await house.subscribe(f"+2782000100{n}")
    await house.call("POST", "schedule/1/send/")
    await house.go_on()
    [run] = (await house.get("runs/"))["results"]
    assert (run["queued"], run["left"], run["finished_at"] is not None) == (6, 6, True)
