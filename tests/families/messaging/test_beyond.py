"""Files, who is behind, external services, previews: what there is beside sending."""

import json

import pytest

from tests.families.messaging.house import EIGHT, House, opened
from tests.services.receiver import Answer, Receiver
from undercroft.app.notation import Secret
from undercroft.base.clock import DAY, HOUR
from undercroft.families.messaging import estimates

pytestmark = pytest.mark.anyio


def form(content: bytes, name: str = "day1.mp3", field: str = "content") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--B--\r\n"


async def upload(house: House, body: bytes, method: str = "POST", path: str = "binarycontent/") -> tuple[int, dict]:  # type: ignore[type-arg]
    answer = await house.call(method, path, body, content_type="multipart/form-data; boundary=B")
    return answer.status, answer.json


async def test_files_come_back_as_they_went_whole_and_in_parts(house: House) -> None:
    content = bytes(range(256)) * 8_000 + b"\r\n--A"
    status, made = await upload(house, form(content))
    assert status == 201 and made["content"].startswith("http://house.example:3862/media/")
    path = made["content"].partition("3862")[2]
    whole = await house.call("GET", path, authorization=None)
    assert (whole.status, whole.body) == (200, content)
    for asked, start, end in (("0-0", 0, 1), ("10-19", 10, 20), ("-7", -7, None), ("2048000-", 2_048_000, None)):
        part = await house.call("GET", path, range=f"bytes={asked}", authorization=None)
        assert (part.status, part.body) == (206, content[start:end])
    total = str(len(content)).encode()
    assert part.headers[b"content-range"] == b"bytes 2048000-2048004/" + total
    beyond = await house.call("GET", path, range="bytes=9999999-")
    assert (beyond.status, beyond.headers[b"content-range"]) == (416, b"bytes */" + total)
    assert (await house.call("GET", path, range="lines=1-2")).status == 200
    for name in ("../undercroft.db", "..%2Fundercroft.db", "20261121000805123456.mp3", ".x", "%00"):
        assert (await house.call("GET", f"/media/{name}", authorization=None)).status in (400, 404)


async def test_what_is_wrong_with_a_file_is_said(house: House) -> None:
    for body, words in (
        (form(b""), "The submitted file is empty."),
        (form(b"x", "a" * 101 + ".mp3"), "Ensure this filename has at most 100 characters (it has 105)."),
        (form(b"x", field="other"), "No file was submitted."),
    ):
        assert await upload(house, body) == (400, {"content": [words]})
    unlike = "The submitted data was not a file. Check the encoding type on the form."
    assert tuple(await house.call("POST", "binarycontent/", {"content": "x"})) == (400, {"content": [unlike]})
    assert (await upload(house, b"--B\r\nnonsense"))[0] == 400
    await upload(house, form(b"<script>", "page.html"))
    path = (await house.get("binarycontent/1/"))["content"].partition("3862")[2]
    assert (await house.call("GET", path)).headers[b"content-disposition"] == b"attachment"


async def test_a_file_goes_with_its_messages(house: House) -> None:
    await upload(house, form(b"sound"))
    await house.call("PATCH", "message/1/", {"binary_content": 1})
    await house.call("PATCH", "messageset/1/", {"content_type": "audio"})
    await house.subscribe(metadata={"prepend_next_delivery": "http://x/hello.mp3"})
    await house.at(EIGHT)
    body = house.receiver.sent[0][0]
    first, second = body["metadata"]["voice_speech_url"]
    assert first == "http://x/hello.mp3" and second.startswith("http://127.0.0.1:3862/media/")
    assert "content" not in body
    assert (await house.call("DELETE", "binarycontent/1/")).status == 204
    assert [one["id"] for one in (await house.get("message/"))["results"]] == [2]


async def test_who_is_behind_is_found_and_brought_forward(house: House) -> None:
    await house.made("messageset/", short_name="later", default_schedule=1, channel="webhook:hook")
    for number in (1, 2, 3):
        await house.made("message/", messageset=2, sequence_number=number, lang="eng", text_content="x")
    await house.call("PATCH", "messageset/1/", {"next_set": 2})
    late = await house.subscribe("somebody")
    await house.subscribe("+27820001009", active=False)
    house.clock.now = EIGHT + 2 * DAY + HOUR
    assert (await house.call("POST", "behind-subscriptions/find_behind_subscriptions/")).status == 202
    for loop in house.parts.loops:
        if loop.name == "who is behind":
            while await loop.step(house.clock()):
                pass
    [found] = (await house.get("behind-subscriptions/"))["results"]
    assert found["subscription_id"] == late and found["messages_behind"] == 3
    assert (found["current_messageset_name"], found["current_sequence_number"]) == ("welcome", 1)
    assert (found["expected_messageset_name"], found["expected_sequence_number"]) == ("later", 2)
    assert await house.get(f"behind-subscriptions/{found['id']}/") == found
    first, second = (await house.call("POST", f"subscriptions/{late}/fast-forward")).json["subscriptions"]
    assert first == late and (await house.subscription(late))["completed"]
    fresh = await house.subscription(second)
    assert (fresh["messageset"], fresh["next_sequence_number"], fresh["active"]) == (2, 2, True)
    planned = (await house.get(f"subscriptions/{second}/preview"))["results"]
    assert [one["sequence_number"] for one in planned] == [2, 3]


async def test_estimates_count_who_is_ready(house: House) -> None:
    await house.subscribe()
    await house.subscribe()
    await house.subscribe(active=False)
    found = (await house.get("runsendestimate"))["results"]
    assert len(found) == 7 and {(one["subscriptions"], one["identities"]) for one in found} == {(2, 1)}
    assert (await house.call("POST", "runsendestimate")).json["accepted"]
    names = (await house.get("/api/metrics/"))["metrics_available"]
    assert names[-2:] == ["message.text.welcome.sum", "message.text.sum"] and len(names) == 17
    health = await house.get("/api/health/")
    assert health["up"] and health["result"]["database"] == "Accessible"


async def test_a_sender_and_an_identity_service(sqlite_url: str, receiver: Receiver) -> None:
    known = "/identities/ann/addresses/msisdn"
    receiver.answer(known, Answer(503), Answer(200, b'{"results": [{"address": "+27820001001"}]}'))
    receiver.answer("/identities/bob/addresses/msisdn", Answer(200, b'{"results": []}'))
    receiver.answer("/outbound/", Answer(201, b'{"id": "out-7"}'))
    settings = {
        "messaging_sender_url": receiver.url(""),
        "messaging_sender_token": Secret("of the sender"),
        "messaging_identity_url": receiver.url(""),
        "messaging_identity_token": Secret("of the service"),
    }
    async with opened(sqlite_url, really=True, **settings) as house:
        await house.make_series()
        await house.call("PATCH", "messageset/1/", {"channel": "WHATSAPP"})
        ann, bob = await house.subscribe("ann"), await house.subscribe("bob")
        await house.at(EIGHT)
        assert receiver.calls("/outbound/") == []
        await house.at(EIGHT + HOUR)
        [call] = receiver.calls("/outbound/")
        body = json.loads(call.body)
        assert (body["to_addr"], body["to_identity"], body["channel"]) == ("+27820001001", "ann", "WHATSAPP")
        assert call.headers["authorization"] == "Token of the sender"
        asked = receiver.calls(known)[0]
        assert asked.headers["authorization"] == "Token of the service"
        assert asked.query == "default=True&use_communicate_through=True"
        assert (await house.subscription(ann))["next_sequence_number"] == 2
        assert (await house.subscription(bob))["process_status"] == -1
        [sent] = (await house.get(f"subscriptions/{ann}/sends"))["results"]
        assert sent["reply"] == '{"id": "out-7"}'


async def test_the_operators_sender_may_be_where_routes_of_users_may_not(database_url: str, receiver: Receiver) -> None:
    """And a 410 of it ends one message: the others go on."""
    receiver.answer("/outbound/", Answer(410), Answer(201, b'{"id": "out-8"}'))
    settings = {"messaging_sender_url": receiver.url(""), "allow_private_targets": False}
    async with opened(database_url, really=True, messaging_sender_private=True, **settings) as house:
        await house.make_series()
        await house.made("routes/", name="hook", url=receiver.url("/inside"))
        await house.made("messageset/", short_name="sms", default_schedule=1, channel="sender")
        await house.made("message/", messageset=2, sequence_number=1, lang="eng", text_content="x")
        ids = [
            await house.subscribe(f"+2782000100{n}", messageset=messageset) for n, messageset in enumerate((2, 2, 1))
        ]
        for id in ids:
            assert (await house.call("POST", f"subscriptions/{id}/send")).status == 201
            await house.go_on()
        assert len(receiver.calls("/outbound/")) == 2 and receiver.calls("/inside") == []
        assert [(await house.subscription(id))["completed"] for id in ids] == [False, True, False]
        [failed] = (await house.get("failed-tasks/"))["results"]
        assert failed["subscription_id"] == ids[0] and "does not take this message" in failed["reason"]
        [refused] = (await house.get(f"subscriptions/{ids[2]}/sends"))["results"]
        assert "allow_private_targets" in refused["reason"]


async def test_a_sender_at_a_private_address_is_refused_with_its_own_setting(
    database_url: str, receiver: Receiver
) -> None:
    settings = {"messaging_sender_url": receiver.url(""), "allow_private_targets": False}
    async with opened(database_url, really=True, **settings) as house:
        await house.make_series()
        await house.call("PATCH", "messageset/1/", {"channel": "sender"})
        id = await house.subscribe()
        assert (await house.call("POST", f"subscriptions/{id}/send")).status == 201
        await house.go_on()
        [refused] = (await house.get(f"subscriptions/{id}/sends"))["results"]
        assert "UNDERCROFT_MESSAGING_SENDER_PRIVATE=1" in refused["reason"] and receiver.calls() == []


async def test_a_search_is_no_send_and_is_not_shown_as_one(house: House) -> None:
    assert (await house.call("POST", "behind-subscriptions/find_behind_subscriptions/")).status == 202
    [search] = await house.database.read(lambda tx: tx.one("SELECT id FROM messaging_runs"))
    assert (await house.call("GET", f"runs/{search}/")).status == 404


async def test_who_goes_by_a_schedule_that_is_gone_is_left_out_of_estimates(house: House) -> None:
    await house.subscribe()
    other = await house.made("schedule/", minute="0", hour="9")
    await house.subscribe("+27820001009", schedule=other["id"])
    await house.database.write(lambda tx: tx.run("DELETE FROM messaging_schedules WHERE id = :id", id=other["id"]))
    assert (await house.call("POST", "/api/metrics/")).status == 201
    [place] = await house.database.read(lambda tx: tx.one("SELECT namespace FROM messaging_sets"))
    found = await house.database.read(estimates.estimate, place, house.clock.now)
    assert [one.subscriptions for one in found] == [1] * len(found) and found
