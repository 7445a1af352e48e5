"""Whatever is sent to /systems: a refusal that says what to do, with a code of its own, and nothing is changed."""

import base64
import email
import email.utils
from email.header import decode_header, make_header
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.families.mail.house import House, house
from tests.machinery.mail.making import NOW, RULES
from undercroft.base.refusals import Refusal, invalid
from undercroft.families.mail.refusing import CODES
from undercroft.machinery.mail.addresses import read_mailboxes
from undercroft.machinery.mail.message import build
from undercroft.machinery.mail.model import MOST_RECIPIENTS, Draft, check_draft, recipients_of

pytestmark = pytest.mark.anyio

TOO_MANY = invalid("recipients", "too many")
INJECTED = "Hello\r\nBcc: victim@example.com"
PDF = {"name": "a.pdf", "content": "YWJj"}
WRONG: list[tuple[str, Any, str]] = [
    ("to", None, "M002"),
    ("to", "", "M002"),
    ("to", [], "M002"),
    ("to", "nobody", "M002"),
    ("to", "a@b.c, ", "M002"),
    ("to", "a@b.c\r\nBcc: d@e.f", "M002"),
    ("to", "a@b.c\x00", "M002"),
    ("to", "a@" + "b" * 10_000 + ".c", "M002"),
    ("to", "x" * 10_000 + "@b.c", "M002"),
    ("to", "<" * 60_000, "M002"),
    ("to", 7, "M001"),
    ("to", {"a": 1}, "M001"),
    ("to", [f"u{n}@b.c" for n in range(MOST_RECIPIENTS + 1)], "M005"),
    ("cc", "Ann <a@b.c", "M002"),
    ("bcc", ["a@b.c", "no one"], "M002"),
    ("reply_to", "a@b.c\nX: y", "M002"),
    ("from", "somebody@else.example", "M004"),
    ("from", "a@b.c, d@e.f", "M002"),
    ("subject", None, "M003"),
    ("subject", INJECTED, "M003"),
    ("subject", "a\x00b", "M003"),
    ("subject", "a\u2028b", "M003"),
    ("subject", "x" * 10_000, "M003"),
    ("body", None, "M001"),
    ("body", "a\x00b", "M001"),
    ("body", "x" * (2**20 + 1), "M001"),
    ("html", 5, "M001"),
    ("headers", {"X-A": INJECTED}, "M007"),
    ("headers", {"X-A\r\nBcc": "a@b.c"}, "M007"),
    ("headers", {"Bcc": "a@b.c"}, "M007"),
    ("headers", {"bcc ": "a@b.c"}, "M007"),
    ("headers", {"Content-Type": "text/html"}, "M007"),
    ("headers", {"DKIM-Signature": "x"}, "M007"),
    ("headers", {"X-A": "x" * 10_000}, "M007"),
    ("headers", {"X-A": "1", "x-a": "2"}, "M007"),
    ("headers", {f"X-{n}": "1" for n in range(51)}, "M007"),
    ("attachments", [{**PDF, "content": "no base64!"}], "M006"),
    ("attachments", [{**PDF, "name": "../../etc/passwd"}], "M006"),
    ("attachments", [{**PDF, "name": 'a"\r\nX: y'}], "M006"),
    ("attachments", [{**PDF, "type": "text/html; charset=x\r\ny"}], "M006"),
    ("attachments", [{**PDF, "type": "message/rfc822"}], "M006"),
    ("attachments", [{**PDF, "content_id": "a>\r\nb"}], "M006"),
    ("attachments", [PDF] * 21, "M006"),
    ("attachments", [{**PDF, "content": base64.b64encode(b"x" * 1_001).decode()}], "M006"),
    ("attachments", "file", "M001"),
    ("tags", ["x" * 101], "M008"),
    ("tags", ["x"] * 21, "M008"),
    ("unsubscribe", "javascript:alert(1)", "M009"),
    ("unsubscribe", "https://e.x/>, <https://f.x", "M009"),
    ("unsubscribe", [], "M009"),
    ("send_at", "tomorrow", "M010"),
    ("send_at", 1, "M010"),
    ("send_at", 10**30, "M010"),
    ("send_at", "9999-12-31T23:59:59-23:59", "M010"),
    ("template", "none", "M011"),
    ("template", "\x00", "M011"),
    ("variables", {"a": "b"}, "M011"),
    ("idempotency_key", "", "M012"),
    ("idempotency_key", "x" * 257, "M012"),
    ("idempotency_key", "a\nb", "M012"),
    ("namespace", "", "M021"),
    ("namespace", "x" * 10_000, "M021"),
    ("sned_at", 5, "M001"),
]


@pytest.fixture
async def quiet(sqlite_url: str) -> Any:
    async with house(sqlite_url, mail_max_attachments=1_000) as one:
        yield one


async def test_what_is_wrong_with_a_field_is_refused_and_changes_nothing(quiet: House) -> None:
    for field, value, code in WRONG:
        answer = await quiet.send(**{field: value})
        assert (answer.status, answer.json["code"]) == (400, code), (field, str(value)[:50], answer.json)
        assert len(answer.json["error"]) < 500, "hostile input is not repeated at length"
    assert await quiet.listed() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b'"to"',
        b"[]",
        b"[7]",
        b'{"to":"a@b.c","subject":"\xff","body":"x"}',
        b'{"to":"a@b.c","subject":"\\ud800","body":"x"}',
        b'{"to":' + b"[" * 100_000,
        b"[" * 100_000,
        b'{"send_at":' + b"9" * 100_000 + b"}",
        b"[" + b"{}," * 200_000 + b"{}]",
    ],
)
async def test_what_is_no_mail_at_all_is_refused(quiet: House, body: bytes) -> None:
    answer = await quiet.call("POST", "/systems/emails", body)
    assert answer.status == 400 and answer.json["code"] in ("M001", "M020"), answer.json
    assert await quiet.listed() == []


async def test_unknown_things_are_404s_of_the_familys_own(quiet: House) -> None:
    for method, path, code in (
        ("GET", "/systems", "M035"),
        ("GET", "/systems/other", "M035"),
        ("GET", "/systems/emails/g1m7y9s42rpb4vptm5qdx8pqte", "M016"),
        ("GET", "/systems/emails/" + "x" * 5_000, "M016"),
        ("DELETE", "/systems/emails/none", "M016"),
        ("GET", "/systems/emails/none/source", "M016"),
        ("GET", "/systems/emails/templates/none", "M011"),
        ("DELETE", "/systems/suppressions/a@b.c", "M019"),
    ):
        answer = await quiet.call(method, path)
        assert (answer.status, answer.json["code"]) == (404, code), (path, answer.json)
    for method, path, body in (
        ("PUT", "/systems/suppressions/nobody", None),
        ("PUT", "/systems/suppressions/Ann%20%3Ca@b.c%3E", None),
        ("PUT", "/systems/suppressions/a@b.c%0D%0Ax", None),
        ("PUT", "/systems/suppressions/a@b.c", {"reason": INJECTED}),
        ("POST", "/systems/suppressions", {}),
        ("POST", "/systems/suppressions", {"address": []}),
        ("POST", "/systems/suppressions", {"address": 7}),
        ("POST", "/systems/suppressions", {"address": ["a@b.c", "nobody"]}),
        ("POST", "/systems/suppressions", {"address": "a@b.c\r\nx"}),
        ("POST", "/systems/suppressions", {"address": "a@b.c", "reason": INJECTED}),
        ("POST", "/systems/suppressions", {"address": [f"a{n}@b.c" for n in range(501)]}),
        ("POST", "/systems/suppressions", {"address": ["a@b.c"] * 300_000}),
        ("POST", "/systems/suppressions?namespace=shop", {"address": "a@b.c", "namespace": "games"}),
        ("GET", "/systems/suppressions?cursor=%00", None),
        ("GET", "/systems/emails/templates?cursor=%00", None),
        ("PUT", "/systems/emails/templates/a%2Fb", {"subject": "s", "text": "t"}),
        ("PUT", "/systems/emails/templates/a", {"subject": INJECTED, "text": "t"}),
        ("PUT", "/systems/emails/templates/a", {"subject": "s"}),
        ("PUT", "/systems/emails/templates/a", {"subject": "s", "text": "x" * (2**20 + 1)}),
    ):
        answer = await quiet.call(method, path, body)
        assert answer.status == 400, (path, answer.json)
    assert (await quiet.call("GET", "/systems/suppressions")).json["suppressions"] == []
    assert (await quiet.call("GET", "/systems/emails/templates")).json["templates"] == []


async def test_a_body_that_is_too_large_is_a_413(quiet: House) -> None:
    answer = await quiet.call("POST", "/systems/emails", b'{"body":"' + b"x" * 8 * 2**20 + b'"}')
    assert (answer.status, answer.json["code"]) == (413, "M032")


def test_each_code_has_one_meaning() -> None:
    numbers = [number for number, _ in CODES.values()]
    assert len(set(numbers)) == len(numbers)


@given(some.text(max_size=300))
def test_no_text_is_taken_for_an_address_that_could_break_a_header(text: str) -> None:
    try:
        found = read_mailboxes("to", text, 100, TOO_MANY)
    except Refusal:
        return
    for one in found:
        assert one.address.isascii() and one.address.isprintable() and " " not in one.address
        assert not any(ord(c) < 32 or c in "\x85\u2028\u2029" for c in one.name)
        assert read_mailboxes("to", one.written(), 100, TOO_MANY) == (one,), "what is shown is read as the same"


@given(
    subject=some.text(some.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=200),
    name=some.text(some.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60),
    value=some.text(some.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=300),
    body=some.text(some.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=500),
)
def test_what_is_written_is_what_others_read(subject: str, name: str, value: str, body: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    draft = Draft(to=f'"{quoted}" <ann@example.com>, bob@example.com', subject=subject, text=body, html=body,
                  headers={"X-Value": value}, bcc="eve@example.com")  # fmt: skip
    mail = check_draft(draft, RULES, NOW)
    data = build(mail, "id", NOW)
    head, _, _ = data.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 and line.isascii() for line in data.split(b"\r\n"))
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names.count(b"to") == names.count(b"subject") == 1 and b"bcc" not in names
    assert names == [b"from", b"to", b"subject", b"date", b"message-id", b"x-value", b"mime-version", b"content-type"]
    parsed = email.message_from_bytes(data, policy=default)
    assert [one.addr_spec for one in parsed["to"].addresses] == ["ann@example.com", "bob@example.com"]
    assert {one.address for one in recipients_of(mail)} == {"ann@example.com", "bob@example.com", "eve@example.com"}
    # Read the old way: the new parser puts a blank between the words of one name.
    raw = email.utils.getaddresses([email.message_from_bytes(data)["to"]])[0][0]
    assert str(make_header(decode_header(raw))).split() == mail.to[0].name.split()
    assert parsed["subject"].split() == mail.subject.split()
    assert parsed["x-value"].split() == mail.headers[0][1].split()
    text = parsed.get_body(("plain",))
    assert text is not None
    assert text.get_content().split() == body.split() or "\r" in body
