"""The bytes of a mail: the same each time, and no name is too long or too strange for its header."""

import email
from email.policy import default

from tests.machinery.mail.making import NOW, mail
from undercroft.machinery.mail.message import build


def test_the_same_mail_is_the_same_bytes() -> None:
    one = mail(html="<p>a</p>")
    assert build(one, "id", NOW) == build(one, "id", NOW)


def test_after_a_long_name_that_is_not_ascii_comes_the_next_recipient() -> None:
    name = "000" + "\u00a1" * 10 + "\U00010000" * 2
    data = build(mail(to=f'"{name}" <ann@example.com>, bob@example.com'), "id", NOW)
    parsed = email.message_from_bytes(data, policy=default)
    assert [one.addr_spec for one in parsed["to"].addresses] == ["ann@example.com", "bob@example.com"]


def test_a_long_word_of_a_header_stays_in_one_piece() -> None:
    reference = f"<{'x' * 300}@example.com>"
    data = build(mail(headers={"References": f"<a@example.com> {reference}"}), "id", NOW)
    assert reference.encode() in data
    assert email.message_from_bytes(data, policy=default)["references"] == f"<a@example.com> {reference}"
