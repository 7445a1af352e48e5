"""The contract's words: fields, filters, pages, methods, media types."""

from typing import Any

import pytest

from tests.families.messaging.house import House

pytestmark = pytest.mark.anyio
BLANK, NULL, REQUIRED = "This field may not be blank.", "This field may not be null.", "This field is required."
INTEGER, STRING, BOOLEAN = "A valid integer is required.", "Not a valid string.", "Must be a valid boolean."
MESSAGE = {"messageset": 1, "sequence_number": 9, "lang": "eng", "text_content": "x"}
SET = {"short_name": "new", "default_schedule": 1}
SUBSCRIPTION = {"identity": "+27820001001", "messageset": 1, "schedule": 1, "lang": "eng"}
WRONG: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("messageset", SET, {"short_name": None}, {"short_name": [NULL]}),
    ("messageset", SET, {"short_name": "  "}, {"short_name": [BLANK]}),
    ("messageset", SET, {"short_name": "x" * 101},
     {"short_name": ["Ensure this field has no more than 100 characters."]}),
    ("messageset", SET, {"short_name": ["x"]}, {"short_name": [STRING]}),
    ("messageset", SET, {"short_name": True}, {"short_name": [STRING]}),
    ("messageset", SET, {"short_name": "welcome"},
     {"short_name": ["message set with this Short name already exists."]}),
    ("messageset", SET, {"label": None}, {"label": [NULL]}),
    ("messageset", SET, {"content_type": "video"}, {"content_type": ['"video" is not a valid choice.']}),
    ("messageset", SET, {"content_type": ""}, {"content_type": ['"" is not a valid choice.']}),
    ("messageset", SET, {"next_set": 99999999}, {"next_set": ['Invalid pk "99999999" - object does not exist.']}),
    ("messageset", SET, {"next_set": "x"}, {"next_set": ["Incorrect type. Expected pk value, received str."]}),
    ("messageset", SET, {"next_set": [1]}, {"next_set": ["Incorrect type. Expected pk value, received list."]}),
    ("messageset", SET, {"default_schedule": 2**70},
     {"default_schedule": [f'Invalid pk "{2**70}" - object does not exist.']}),
    ("message", MESSAGE, {"sequence_number": "1.5"}, {"sequence_number": [INTEGER]}),
    ("message", MESSAGE, {"sequence_number": 2**31},
     {"sequence_number": ["Ensure this value is less than or equal to 2147483647."]}),
    ("message", MESSAGE, {"sequence_number": -(2**31) - 1},
     {"sequence_number": ["Ensure this value is greater than or equal to -2147483648."]}),
    ("message", MESSAGE, {"metadata": None}, {"metadata": [NULL]}),
    ("message", MESSAGE, {"lang": "engfra7"}, {"lang": ["Ensure this field has no more than 6 characters."]}),
    ("message", MESSAGE, {"text_content": "“a’–"},
     {"text_content": ['Text "“a’–" has special characters which can be replaced: “ ’ –']}),
    ("message", MESSAGE, {"text_content": ""}, ["Messages must have text or file attached"]),
    ("message", MESSAGE, {"sequence_number": 1},
     {"non_field_errors": ["The fields messageset, sequence_number, lang must make a unique set."]}),
    ("subscriptions", SUBSCRIPTION, {"active": "perhaps"}, {"active": [BOOLEAN]}),
    ("subscriptions", SUBSCRIPTION, {"active": []}, {"active": [BOOLEAN]}),
    ("subscriptions", SUBSCRIPTION, {"identity": "x" * 37},
     {"identity": ["Ensure this field has no more than 36 characters."]}),
    ("subscriptions", SUBSCRIPTION, {"version": True}, {"version": [INTEGER]}),
    ("subscriptions", SUBSCRIPTION, {"messageset": 7, "version": "x"},
     {"messageset": ['Invalid pk "7" - object does not exist.'], "version": [INTEGER]}),
    ("subscriptions", SUBSCRIPTION, {"identity": "a\x00b"}, {"identity": ["Null characters are not allowed."]}),
    ("schedule", {}, {"timezone": "Mars/Base"},
     {"timezone": ['"Mars/Base" is not one of the IANA names of time zones, like Africa/Johannesburg.']}),
]  # fmt: skip


async def test_what_is_wrong_is_said_in_the_contracts_words(house: House) -> None:
    for noun, good, change, words in WRONG:
        assert tuple(await house.call("POST", f"{noun}/", {**good, **change})) == (400, words), (noun, change)
    for noun, good in {noun: good for noun, good, _, _ in WRONG}.items():
        answer = await house.call("POST", noun, good)
        assert answer.status == 201, answer.body


async def test_what_is_required(house: House) -> None:
    for noun, names in {
        "messageset": ("short_name", "default_schedule"),
        "message": ("messageset", "sequence_number", "lang"),
        "subscriptions": ("identity", "messageset", "lang", "schedule"),
    }.items():
        status, errors = await house.call("POST", f"{noun}/", {})
        assert status == 400 and errors == {name: [REQUIRED] for name in names}
    status, errors = await house.call("PUT", "messageset/1/", {"short_name": "welcome"})
    assert errors == {"default_schedule": [REQUIRED]}
    status, kept = await house.call("PUT", "messageset/1/", {"short_name": "w2", "default_schedule": 1})
    assert status == 200 and (kept["channel"], kept["short_name"]) == ("webhook:hook", "w2")


async def test_cron_fields_are_checked_one_by_one(house: House) -> None:
    for name in ("minute", "hour", "day_of_week", "day_of_month", "month_of_year"):
        status, errors = await house.call("POST", "schedule/", {name: "banana"})
        assert status == 400 and list(errors) == [name], errors
    status, errors = await house.call("POST", "schedule/", {"day_of_month": "30", "month_of_year": "2"})
    assert status == 400 and list(errors) == ["day_of_month"]
    status, made = await house.call("POST", "schedule/", {"minute": "*/5 ", "hour": 8})
    assert status == 201 and (made["minute"], made["hour"]) == ("*/5", "8")


async def test_whatsapp_takes_no_line_ends(house: House) -> None:
    await house.call("PATCH", "messageset/1/", {"channel": "WhatsApp"})
    status, words = await house.call("POST", "message/", {**MESSAGE, "text_content": "a\nb"})
    assert (status, words) == (400, ["Text for WhatsApp must not include newline, tabs, or 4 consecutive spaces."])


async def test_requests_for_subscriptions(house: House) -> None:
    ask = "subscriptions/request"
    assert tuple(await house.call("POST", ask, {})) == (400, {"data": [REQUIRED]})
    for odd in ("text", [1], None, 7):
        assert (await house.call("POST", ask, {"data": odd})).status == 400
    status, errors = await house.call("POST", ask, {"data": SUBSCRIPTION})
    assert (status, errors) == (400, {"initial_sequence_number": [NULL]})
    good = {**SUBSCRIPTION, "next_sequence_number": 2}
    assert tuple(await house.call("POST", ask + "/", {"data": good})) == (201, {"accepted": True})
    [made] = (await house.get("subscriptions/"))["results"]
    assert (made["metadata"], made["initial_sequence_number"], made["next_sequence_number"]) == ({}, 2, 2)


async def test_filters(house: House) -> None:
    plain = await house.subscribe()
    keyed = await house.subscribe("+27820001002", metadata={"a": {"b": 1}}, active=False)

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await house.get(f"subscriptions/?{query}"))["results"]]

    assert await found("") == [keyed, plain]
    assert await found("identity=%2B27820001002") == [keyed]
    assert await found(f"id={plain}") == [plain]
    assert await found("active=True") == await found("active=1") == [plain]
    assert await found("active=no") == await found("unknown=1") == await found("lang=") == [keyed, plain]
    assert await found("metadata_has_key=a") == [keyed]
    assert await found("metadata_has_key=b") == []
    assert await found("metadata_not_has_key=a") == [plain]
    assert await found("messageset_contains=elc") == [keyed, plain]
    assert await found("messageset_contains=ELC") == []
    assert await found("created_after=2100-01-01T00:00:00") == []
    assert await found("created_before=2100-01-01T00:00:00%2B02:00&messageset=1&schedule=1") == [keyed, plain]
    for query, words in {
        "version=x": {"version": ["Enter a number."]},
        "id=x": {"id": ["Enter a valid UUID."]},
        "created_after=2020-01-01": {"created_after": ["Enter a valid date/time."]},
        "messageset=99": {"messageset": ["Select a valid choice. That choice is not one of the available choices."]},
    }.items():
        assert tuple(await house.call("GET", f"subscriptions/?{query}")) == (400, words)
    assert tuple(await house.call("GET", "messageset/?content_type=x")) == (
        400, {"content_type": ["Select a valid choice. %(value)s is not one of the available choices."]}
    )  # fmt: skip


async def test_pages_lead_on_and_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.families.messaging.http.paging.PAGE_SIZE", 2)
    made = [await house.subscribe() for _ in range(5)]
    pages, url = [], "/api/v1/subscriptions/?lang=eng"
    while url:
        page = await house.get(url.removeprefix("http://house.example:3862"))
        pages.append(page)
        url = page["next"]
    assert [one["id"] for page in pages for one in page["results"]] == made[::-1]
    assert pages[0]["next"].startswith("http://house.example:3862/api/v1/subscriptions/?cursor=")
    assert pages[0]["next"].endswith("&lang=eng") and pages[0]["previous"] is None
    back = await house.get(pages[2]["previous"].removeprefix("http://house.example:3862"))
    assert back["results"] == pages[1]["results"]
    first = await house.get(back["previous"].removeprefix("http://house.example:3862"))
    assert first["results"] == pages[0]["results"] and first["previous"] is None
    for cursor in ("x", "cD0x!", "cD14", "%00", "cj0tMQ=="):
        status, words = await house.call("GET", f"subscriptions/?cursor={cursor}")
        assert status in (400, 404) and (cursor == "%00" or words == {"detail": "Invalid cursor"})


async def test_methods_media_types_and_what_is_missing(house: House) -> None:
    assert tuple(await house.call("DELETE", "schedule/")) == (405, {"detail": 'Method "DELETE" not allowed.'})
    assert (await house.call("POST", "schedule/", b"x", content_type="text/plain")).json == {
        "detail": 'Unsupported media type "text/plain" in request.'
    }
    assert (await house.call("GET", "schedule/", accept="image/png")).status == 406
    status, words = await house.call("POST", "schedule/", b'{"a"')
    assert status == 400 and words["detail"].startswith("JSON parse error - ")
    status, words = await house.call("POST", "schedule/", b"[1]")
    assert words == {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}
    for path in (
        "schedule/99/",
        "schedule/abc/",
        "subscriptions/abc/",
        f"message/{10**30}/",
        "message/1/x/",
        "?format=x",
    ):
        assert tuple(await house.call("GET", path)) == (404, {"detail": "Not found."}), path
    answer = await house.call("GET", "schedule/", authorization=None)
    assert (answer.status, answer.json) == (401, {"detail": "Authentication credentials were not provided."})
    assert answer.headers[b"www-authenticate"] in (b'Basic realm="api"', b"Bearer")
    for given, said in {
        "Token wrong": "Invalid token.",
        "Token": "Invalid token header. No credentials provided.",
        "Token a b": "Invalid token header. Token string should not contain spaces.",
    }.items():
        assert (await house.call("GET", "schedule/", authorization=given)).json == {"detail": said}


async def test_forms(house: House) -> None:
    form = "application/x-www-form-urlencoded"
    body = b"identity=%2B27820001001&messageset=1&schedule=1&lang=eng"
    status, made = await house.call("POST", "subscriptions/", body, content_type=form)
    assert status == 201 and made["active"] is False and made["identity"] == "+27820001001"


async def test_what_is_in_use_stays(house: House) -> None:
    id = await house.subscribe()
    assert (await house.call("DELETE", "schedule/1/")).status == 409
    assert (await house.call("DELETE", "messageset/1/")).status == 409
    assert (await house.call("DELETE", f"subscriptions/{id}/")).status == 204
    assert (await house.call("DELETE", "messageset/1/")).status == 204
    assert (await house.call("DELETE", "schedule/1/")).status == 204
    assert (await house.get("message/"))["results"] == []


HOSTILE = [
    b'{"metadata": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"lang": "\xff"}', b'{"lang": "\\ud800"}', b"nan",
    b'{"messageset": 1e400}', b'{"messageset": ' + b"9" * 5_000 + b"}", b'{"identity": ' + b"9" * 5_000 + b"}",
    b'{"metadata": {"a": ' + b"9" * 400 + b"}}", b'{"lang": {}}', b'{"messageset": {"a": 1}}', b'{"version": 1e300}',
    b'{"active": 1e300}', b'{"content_type": {"a": [' + b"9" * 60 + b"]}}",
]  # fmt: skip


@pytest.mark.parametrize("noun", ["schedule", "messageset", "message", "subscriptions", "identities", "routes"])
async def test_hostile_bodies_are_refused(house: House, noun: str) -> None:
    for body in HOSTILE:
        answer = await house.call("POST", f"{noun}/", body)
        assert answer.status == 400 or (noun, answer.status) == ("schedule", 201), (body[:50], answer.body)


async def test_namespaces_do_not_meet(house: House) -> None:
    await house.subscribe()
    assert (await house.get("subscriptions/?namespace=other"))["results"] == []
    status, _ = await house.call("POST", "subscriptions/?namespace=other", SUBSCRIPTION)
    assert status == 400
    assert (await house.call("GET", "schedule/1/?namespace=other")).status == 404
