"""What callers give is literal text: a parser finds in the head the fields that were meant, and no others."""

import base64
import email
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from tests.machinery.mail.making import NOW, RULES, draft, mail
from undercroft.base.refusals import Refusal
from undercroft.machinery.mail.addresses import read_mailbox
from undercroft.machinery.mail.headers import check_unsubscribe, check_written
from undercroft.machinery.mail.message import build, head
from undercroft.machinery.mail.model import AttachmentIn, Mail, check_draft
from undercroft.machinery.mail.templates import Template, fill_in

WORDS = [
    "=?utf-8?q?=0d=0aBcc:_e=40e.ee?=",
    "=?utf-8?b?DQpCY2M6IGVAZS5lZQ==?=",
    "=?utf-7?q?+2AA-?=",
    "=?utf-8?q?=00?=",
    "a =?iso-8859-1?q?=0aX?= =?utf-8?q?b?=",
    "=?utf-16?b?2AA=?=",
    "=?" * 200,
]
FIELDS = ["From", "To", "Subject", "Date", "Message-ID"]
CONTENT = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
pieces = some.one_of(
    some.sampled_from([*WORDS, "=?", "?=", "?q?", "=0d=0a", "\t", " ", ":", "\\", '"']), some.text(max_size=20)
)
texts = some.lists(pieces, max_size=12).map("".join)


def names_in(data: bytes) -> list[str]:
    return list(email.message_from_bytes(data, policy=compat32).keys())


def read(value: Any) -> str:
    return str(make_header(decode_header(value)))


def check_fields(one: Mail, own: list[str]) -> EmailMessage:
    data = build(one, "id", NOW)
    assert sorted(names_in(data)) == sorted([*FIELDS, *own, *CONTENT])
    assert not [line for line in data.split(b"\r\n") if b"\r" in line or b"\n" in line or b"\x00" in line]
    message = email.message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("word", WORDS)
def test_what_reads_like_an_encoded_word_is_shown_as_it_was_given(word: str) -> None:
    check_fields(mail(subject=word[:400]), [])
    data = build(mail(subject=word, headers={"X-Own": word, "References": word}), "id", NOW)
    raw = email.message_from_bytes(data, policy=compat32)
    assert sorted(raw.keys()) == sorted([*FIELDS, "X-Own", "References", *CONTENT])
    assert read(raw["Subject"]) == read(raw["X-Own"]) == word


@pytest.mark.parametrize("word", WORDS)
def test_a_name_that_reads_like_an_encoded_word_is_only_a_name(word: str) -> None:
    name = word[:190].strip()
    message = email.message_from_bytes(
        build(mail(to=f'"{name}" <ann@example.com>, bob@b.de'), "id", NOW), policy=compat32
    )
    assert sorted(message.keys()) == sorted([*FIELDS, *CONTENT])
    first, _, second = str(message["To"]).partition(",")
    assert read(first) == f"{name} <ann@example.com>"
    assert second.strip() == "bob@b.de"


@pytest.mark.parametrize("word", WORDS)
def test_a_file_is_named_as_it_was_given(word: str) -> None:
    name = word.replace("/", "_")[:250]
    html = {"html": "<p>a</p>", "attachments": [_file(name), _file(name, content_id="a1")]}
    for fields in ({"attachments": [_file(name)]}, html):
        message = email.message_from_bytes(build(mail(**fields), "id", NOW), policy=default)
        assert set(_file_names(message)) == {name}
        assert not [part for part in message.walk() if part["Bcc"] or part["X"]]


@given(subject=texts, value=texts, name=texts, file=texts, shown=texts)
@example(subject="", value="", name="", file='""', shown="")
def test_nothing_that_was_accepted_is_another_field(subject: str, value: str, name: str, file: str, shown: str) -> None:
    template = Template("t", "Hello {{ name }}", "Dear {{ name }}", "<p>{{ name }}</p>", NOW)
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
    for fields in (
        {"subject": subject},
        {"headers": {"X-Own": value}},
        {"to": f'"{quoted}" <ann@example.com>'},
        {"attachments": [_file(file)]},
    ):
        _meant(fields)
    filled = fill_in(template, {"name": name})
    _meant({"subject": filled.subject, "text": filled.text, "html": filled.html})


def _meant(fields: dict[str, Any]) -> None:
    try:
        one = mail(**fields)
    except Refusal:
        return
    data = build(one, "id", NOW)
    raw = email.message_from_bytes(data, policy=compat32)
    own = [name for name, _ in one.headers]
    several = "Content-Transfer-Encoding" not in raw
    assert sorted(raw.keys()) == sorted([*FIELDS, *own, *(n for n in CONTENT if not (several and "Transfer" in n))])
    assert _same(read(raw["Subject"]), one.subject)
    assert all(_same(read(raw[name]), text) for name, text in one.headers)
    assert _file_names(email.message_from_bytes(data, policy=default)) == [file.name for file in one.attachments]


def _file_names(message: EmailMessage) -> list[str]:
    """As they were written. `get_filename` takes quotes and brackets off, also those of the name itself."""
    return [part["content-disposition"].params["filename"] for part in message.walk() if part["content-disposition"]]


def _same(read: str, given: str) -> bool:
    return " ".join(read.split()) == " ".join(given.split())


@pytest.mark.parametrize(
    "written",
    [
        b"Subject: a\r\nBcc: e@e.ee\r\n",
        b"Subject: a\rb\r\n",
        b"Subject: a\nBcc: b\r\n",
        b"Subject: a\r\n\r\nb",
        b"Subject: a\x00\r\n",
        b"Subject: \xed\xa0\x80\r\n",
        b"Subject: a\r\n \r\n",
        b"Subject: a",
        b"Subject: " + b"a" * 1_000 + b"\r\n",
        b"Sub ject: a\r\n",
        b"Other: a\r\n",
        b"",
    ],
)
def test_the_last_gate_lets_nothing_else_through(written: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        check_written(written, ["Subject"])
    assert refused.value.code == "headers"
    assert check_written(b"Subject: a\r\n\tb =?x?=\r\n", ["Subject"])


@pytest.mark.parametrize("subject", ["a\r\nBcc: e@e.ee", "a\x00", "\ud800", "a\nb"])
def test_a_mail_that_was_checked_by_nobody_stops_at_the_gate(subject: str) -> None:
    with pytest.raises(Refusal):
        head(Mail(sender=read_mailbox("from", "a@b.c"), subject=subject, to=(read_mailbox("to", "d@e.f"),)), "id", NOW)


def test_links_and_addresses_take_no_encoded_words() -> None:
    for address in ("=?utf-8?q?a?=@b.c", "Ann <=?utf-8?q?=0d?=@b.c>"):
        with pytest.raises(Refusal, match="is no e-mail address"):
            read_mailbox("to", address)
    with pytest.raises(Refusal, match="percent-encoded"):
        check_unsubscribe("https://b.c/=?utf-8?q?=0d=0aBcc:a?=")


@pytest.mark.parametrize("domain", ["ß.de", "xß.example", "οδος.gr", "a\u200db.de", "\u1e9e.de", "a\u00adb.de"])
def test_a_domain_that_two_standards_read_differently_is_refused(domain: str) -> None:
    with pytest.raises(Refusal, match="two ways"):
        read_mailbox("to", f"a@{domain}")


@pytest.mark.parametrize(
    ("domain", "written"),
    [("bücher.de", "xn--bcher-kva.de"), ("BÜCHER.DE", "xn--bcher-kva.de"), ("日本。jp", "xn--wgv71a.jp")],
)
def test_other_domains_go_out_in_ascii(domain: str, written: str) -> None:
    assert read_mailbox("to", f"a@{domain}").address == f"a@{written}"


@pytest.mark.parametrize("field", ["subject", "body", "to"])
def test_half_a_character_is_refused(field: str) -> None:
    with pytest.raises(Refusal):
        check_draft(draft(**{field: '"\ud800" <a@b.c>'}), RULES, NOW)


def _file(name: str, **more: Any) -> AttachmentIn:
    return AttachmentIn(name, base64.b64encode(b"abc").decode(), **more)
