"""A request made to keep the server busy: refused by counting, and quickly."""

import json
import time
from typing import Any

import pytest

from tests.families.mail.house import EMAIL, house
from undercroft.base.refusals import Refusal
from undercroft.families.mail.http.weighing import LIGHT, weigh, weigh_pages
from undercroft.families.mail.model import EmailIn
from undercroft.machinery.mail.templates import Template, fill_in

pytestmark = pytest.mark.anyio

MANY = 300_000
HEAVY: list[tuple[dict[str, Any], str]] = [
    ({"to": ["a@b.c"] * MANY}, "M005"),
    ({"to": "a@b.c," * 10_000 + "a@b.c"}, "M005"),
    ({"cc": [""] * MANY}, "M005"),
    ({"bcc": ["a@b.c" + " " * 60_000] * 8}, "M002"),
    ({"reply_to": ["a@b.c"] * MANY}, "M002"),
    ({"headers": {f"X-{n}": "" for n in range(MANY)}}, "M007"),
    ({"tags": ["a"] * MANY}, "M008"),
    ({"unsubscribe": ["a"] * MANY}, "M009"),
    ({"attachments": [{"name": "", "content": ""}] * MANY}, "M006"),
    ({"template": "t", "variables": {str(n): 1 for n in range(MANY)}}, "M011"),
]


async def test_what_has_far_too_many_entries_is_refused_at_once(database_url: str) -> None:
    async with house(database_url) as home:
        for fields, code in HEAVY:
            body = json.dumps({**EMAIL, **fields}).encode()
            began = time.process_time()
            answer = await home.call("POST", "/systems/emails", body)
            took = time.process_time() - began
            assert (answer.status, answer.json["code"]) == (400, code), (list(fields), answer.json)
            assert took < 0.5, f"{list(fields)} took {took:.3f} s"
        assert await home.listed() == []


async def test_a_head_that_reads_like_an_encoded_word_is_no_fault_of_the_server(database_url: str) -> None:
    async with house(database_url) as home:
        for word in ("=?utf-7?q?+2AA-?=", "=?utf-8?q?=00?=", "=?utf-8?q?=0d=0aBcc:_e=40e.ee?="):
            sent = await home.send(subject=word)
            source = await home.call("GET", f"/systems/emails/{sent.id}/source")
            assert (sent.status, source.status) == (202, 200)
            assert b"\x00" not in source.body and b"\nBcc" not in source.body


def test_a_large_mail_within_the_rules_is_let_through() -> None:
    weigh(json.dumps({**EMAIL, "body": "a, b" * 250_000, "to": ["a@b.c"] * 100}).encode())
    weigh(json.dumps({**EMAIL, "variables": {f"v{n}": "x" * 5_000 for n in range(200)}}).encode())
    assert len(json.dumps(EMAIL)) < LIGHT


def test_pages_that_take_too_long_are_refused_before_they_are_read() -> None:
    hostile = EmailIn(to="a@b.c", subject="a", html="<" * 60_000)
    with pytest.raises(Refusal, match="too much to make texts of"):
        weigh_pages([hostile] * 500)
    weigh_pages([EmailIn(to="a@b.c", subject="a", html="<p>a</p>" * 900)] * 500)
    weigh_pages([EmailIn(to="a@b.c", subject="a", text="a", html="<" * 60_000)] * 500)


def test_a_long_value_is_not_filled_in_a_thousand_times() -> None:
    template = Template("t", "a", "{{ a }}" * 10_000, None, 0)
    with pytest.raises(Refusal, match="filled in, the template is longer"):
        fill_in(template, {"a": "x" * 2**20})
    assert fill_in(template, {"a": "x"}).text == "x" * 10_000
