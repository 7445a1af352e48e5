"""How the API is spoken to: methods, media types, forms of an answer. (contract §1, §2)"""

from typing import Any

import pytest

from tests.families.messaging.house import House

pytestmark = pytest.mark.anyio
FORM = "application/x-www-form-urlencoded"
ITEM = b"GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
MANY = b"GET, POST, HEAD, OPTIONS"


async def test_options_describe_a_path_to_whoever_may_read_it(house: House) -> None:
    answer = await house.call("OPTIONS", "schedule/")
    assert answer.status == 200 and answer.headers[b"allow"] == MANY
    told = answer.json
    assert told["name"] == "Schedule List" and told["description"]
    assert told["renders"] == ["application/json", "text/html"]
    assert told["parses"] == ["application/json", FORM, "multipart/form-data"]
    assert list(told["actions"]) == ["POST"] and told["actions"]["POST"]["minute"] == {
        "type": "string", "required": False, "read_only": False, "label": "Minute"
    }  # fmt: skip
    one = (await house.call("OPTIONS", "messageset/1/")).json
    fields = one["actions"]["PUT"]
    assert (one["name"], list(one["actions"])) == ("Messageset Instance", ["PUT"])
    assert fields["id"]["read_only"] and fields["default_schedule"]["required"]
    assert [fields[name]["type"] for name in ("id", "dry_run", "next_set", "content_type", "created_at")] == [
        "integer", "boolean", "field", "choice", "datetime"
    ]  # fmt: skip
    assert "actions" not in (await house.call("OPTIONS", "messageset_languages")).json
    assert (await house.call("OPTIONS", "schedule/", authorization=None)).status == 401
    assert (await house.call("OPTIONS", "subscriptions/request")).status == 200


METHODS = [
    ("GET", "schedule/", MANY), ("HEAD", "schedule/1", ITEM), ("DELETE", "schedule/", MANY),
    ("GET", "schedule/99/", ITEM), ("GET", "subscriptions/x/", ITEM), ("POST", "messageset/", MANY),
    ("GET", "schedule/1/send/", b"POST, OPTIONS"), ("GET", "/media/x.mp3", b"GET, HEAD"),
]  # fmt: skip


async def test_every_answer_names_the_methods_of_its_path(house: House) -> None:
    for method, path, allow in METHODS:
        answer = await house.call(method, path)
        assert answer.headers[b"allow"] == allow, path
        assert answer.headers[b"vary"] == b"Accept" and answer.headers[b"x-frame-options"] == b"SAMEORIGIN"


async def test_a_method_that_is_not_there_is_told_to_who_may_call(house: House) -> None:
    assert (await house.call("DELETE", "failed-tasks/", authorization=None)).status == 401
    assert (await house.call("DELETE", "failed-tasks/", authorization="Token wrong")).status == 401
    for path in ("failed-tasks/", "failed-tasks/1/"):
        for method in ("PUT", "PATCH", "DELETE"):
            refused = await house.call(method, path)
            assert tuple(refused) == (405, {"detail": f'Method "{method}" not allowed.'})


async def test_paths_may_end_in_json(house: House) -> None:
    for path in ("schedule", "messageset/1", "messageset", "subscriptions", "failed-tasks", "messageset_languages"):
        plain = await house.call("GET", path + "/")
        for form in (f"{path}.json", f"{path}/?format=json"):
            again = await house.call("GET", form)
            assert (again.status, again.body) == (200, plain.body), form
    for path in ("schedule/1.xml", "schedule/?format=xml"):
        assert tuple(await house.call("GET", path)) == (404, {"detail": "Not found."}), path
    made = await house.call("POST", "schedule.json", {"minute": "5"})
    assert (made.status, made.json["minute"]) == (201, "5")


async def test_ids_and_names_that_end_in_json_are_others_than_those_without(house: House) -> None:
    await house.made("identities/", id="ann", addresses=["+27820001001"])
    assert (await house.call("GET", "identities/ann.json")).status == 404
    assert (await house.call("PUT", "identities/ann.json/", {"addresses": ["+27820001002"]})).status == 200
    await house.made("identities/", id=".json", addresses=["+27820001003"])
    found = {id: await house.get(f"identities/{id}/") for id in ("ann", "ann.json", ".json")}
    assert {id: one["id"] for id, one in found.items()} == {id: id for id in found}
    [reached] = (await house.get("identities/ann.json/addresses/msisdn"))["results"]
    assert reached == {"address": "+27820001002"}
    assert (await house.call("DELETE", "identities/ann.json/")).status == 204
    assert [one["id"] for one in (await house.get("identities.json"))["results"]] == ["ann", ".json"]

    await house.made("routes/", name="hook.json", url="http://127.0.0.1:9/other")
    assert (await house.get("routes/hook.json"))["url"] == "http://127.0.0.1:9/other"
    assert (await house.get("routes/hook"))["url"] == "http://127.0.0.1:9/"


async def test_an_answer_is_json_or_a_page_or_406(house: House) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    await house.call("PATCH", "messageset/1/", {"label": "<script>"})
    for page in (
        await house.call("GET", "messageset/", accept=browser),
        await house.call("GET", "messageset/1/?format=api"),
    ):
        assert page.status == 200 and page.body.startswith(b"<!doctype html>")
        assert b"&lt;script&gt;" in page.body and b"<script>" not in page.body
    for accept in ("application/json, text/html", "application/*", "*/*", "text/html;q=0.1, application/json"):
        assert isinstance((await house.call("GET", "schedule/", accept=accept)).json, dict)
    assert isinstance((await house.call("GET", "schedule/?format=json", accept=browser)).json, dict)
    for accept in ("image/png", "text/csv", "application/xml"):
        assert tuple(await house.call("GET", "schedule/", accept=accept)) == (
            406, {"detail": "Could not satisfy the request Accept header."}
        )  # fmt: skip


NO_SCHEDULES: list[tuple[str | None, bytes, int, Any]] = [
    (None, b"minute=5", 415, {"detail": 'Unsupported media type "" in request.'}),
    (None, b"hello", 415, {"detail": 'Unsupported media type "" in request.'}),
    (None, b"[1]", 400, {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    (FORM, b'[{"minute=": 1}]', 400, {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    (FORM, b'"minute=5"', 400, {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
    (FORM, b"17", 415, None), (FORM, b"hello", 415, None), (FORM, b"minute=5&hello", 415, None),
    ("application/xml", b"<minute/>", 415, {"detail": 'Unsupported media type "application/xml" in request.'}),
]  # fmt: skip


async def test_what_is_not_what_it_claims_to_be_makes_no_schedule(house: House) -> None:
    before = await house.get("schedule/")
    for kind, body, status, words in NO_SCHEDULES:
        answer = await house.call("POST", "schedule/", body, content_type=kind)
        assert answer.status == status and (words is None or answer.json == words), (kind, body)
    assert await house.get("schedule/") == before


async def test_what_is_json_without_saying_so_is_read_as_json(house: House) -> None:
    for kind in (None, FORM):
        made = await house.call("POST", "schedule/", b' {"minute": "7"}', content_type=kind)
        assert (made.status, made.json["minute"]) == (201, "7")
    made = await house.call("POST", "schedule/", b"&minute=9&", content_type=FORM)
    assert (made.status, made.json["minute"]) == (201, "9")
