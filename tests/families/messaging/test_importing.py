"""Many at once: messages into a set, people onto it; in pages, and again without harm."""

import asyncio
from typing import Any

import pytest

from tests.families.messaging.house import House
from undercroft.base.refusals import unavailable
from undercroft.families.messaging import importing

pytestmark = pytest.mark.anyio
PEOPLE = "messageset/1/subscribers"


def csv_of(texts: dict[int, str]) -> bytes:
    rows = [f"{number},eng,{text}" for number, text in texts.items()]
    return "\n".join(["sequence_number,lang,text_content", *rows]).encode()


async def put(house: House, texts: dict[int, str]) -> Any:
    return await house.call("POST", "messageset/1/import?to=csv", csv_of(texts), content_type="text/csv")


def people(*identities: str, **more: Any) -> dict[str, Any]:
    return {"subscriptions": [{"identity": identity, "lang": "eng", **more} for identity in identities]}


async def test_messages_come_in_pages_and_a_file_that_is_cut_off_is_taken_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MESSAGES_PER_PAGE", 4)
    texts = {number: f"text {number}" for number in range(1, 11)}
    really_write, pages = house.database.write_once, []

    async def write_once(action: Any, *args: Any) -> Any:
        if action is importing.put_messages:
            pages.append(len(args[2]))
            if len(pages) == 2:
                raise unavailable("away")
        return await really_write(action, *args)

    monkeypatch.setattr(house.database, "write_once", write_once)
    assert (await put(house, texts)).status == 503
    assert tuple(await put(house, texts)) == (200, {"created": 6, "changed": 0})
    assert pages == [4, 4, 4, 4, 2]
    assert tuple(await put(house, texts | {7: "another"})) == (200, {"created": 0, "changed": 1})
    found = (await house.get("messageset/1/messages"))["messages"]
    assert {one["sequence_number"]: one["text_content"] for one in found} == texts | {7: "another"}
    assert len(found) == len(texts)


async def test_of_a_file_with_one_wrong_message_nothing_is_put_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MESSAGES_PER_PAGE", 1)
    answer = await put(house, {5: "five", 6: ""})
    assert tuple(answer) == (400, {"message 2": ["Messages must have text or file attached"]})
    await house.call("PATCH", "messageset/1/", {"channel": "whatsapp"})
    answer = await put(house, {5: "five", 6: "far    apart"})
    assert answer.status == 400 and "WhatsApp" in answer.json["message 2"][0]
    assert len((await house.get("messageset/1/messages"))["messages"]) == 2
    assert (await house.call("POST", "messageset/99/import?to=csv", csv_of({1: "a"}))).status == 404


async def test_what_stands_in_a_file_twice_means_its_last_words(house: House) -> None:
    content = csv_of({5: "first"}) + b"\n5,eng,last\n5,fra,dernier"
    answer = await house.call("POST", "messageset/1/import?to=csv", content, content_type="text/csv")
    assert answer.json == {"created": 2, "changed": 0}
    found = (await house.get("messageset/1/messages"))["messages"]
    assert [one["text_content"] for one in found if one["lang"] == "eng"] == ["one", "two", "last"]


async def test_everybody_is_subscribed_once(house: House) -> None:
    first = people("ann", "bob", "ann", metadata={"city": "Lagos"}, next_sequence_number="2")
    assert tuple(await house.call("POST", PEOPLE, first)) == (200, {"subscribed": 2, "passed_by": 1, "failed": []})
    [bob, ann] = (await house.get("subscriptions/"))["results"]
    assert (ann["identity"], ann["schedule"], ann["messageset"], ann["next_sequence_number"]) == ("ann", 1, 1, 2)
    assert ann["metadata"] == {"city": "Lagos"}
    await house.call("PATCH", f"subscriptions/{bob['id']}/", {"active": False})

    again = await house.call("POST", PEOPLE, people("ann", "bob", "cat"))
    assert again.json == {"subscribed": 1, "passed_by": 2, "failed": []}, "who has left is not brought back"
    await house.subscribe("dan", messageset=(await house.made(
        "messageset/", short_name="other", default_schedule=1))["id"])  # fmt: skip
    assert (await house.call("POST", PEOPLE, people("dan"))).json["subscribed"] == 1, "another set is another"


async def test_two_imports_of_the_same_people_at_once(house: House) -> None:
    page = people(*(f"+2782{n:07d}" for n in range(50)))
    answers = await asyncio.gather(*(house.call("POST", PEOPLE, page) for _ in range(3)))
    assert sorted(answer.json["subscribed"] for answer in answers) == [0, 0, 50]
    assert len((await house.get("subscriptions/"))["results"]) == 50


async def test_those_that_are_wrong_are_told_and_the_others_subscribed(house: House) -> None:
    rows = [{"identity": "ann"}, {"identity": "bob", "lang": "eng"}, 5, {"identity": "\x00", "lang": "eng"},
            {"identity": "cat", "lang": "eng", "schedule": 99}, {"identity": "cat", "lang": "eng"}]  # fmt: skip
    answer = await house.call("POST", PEOPLE, {"subscriptions": rows})
    assert (answer.status, answer.json["subscribed"], answer.json["passed_by"]) == (200, 2, 0)
    assert {one["row"]: sorted(one["error"]) for one in answer.json["failed"]} == {
        0: ["lang"], 2: ["non_field_errors"], 3: ["identity"], 4: ["schedule"]}  # fmt: skip


@pytest.mark.parametrize("rows", [None, "ann", {}, [{}] * (importing.MOST_SUBSCRIBERS + 1)])
async def test_what_is_no_page_is_refused(house: House, rows: Any) -> None:
    answer = await house.call("POST", PEOPLE, {"subscriptions": rows})
    assert tuple(answer) == (400, {"subscriptions": ["Expected a list of up to 500 subscriptions."]})
    assert (await house.call("POST", "messageset/99/subscribers", people("ann"))).status == 404
