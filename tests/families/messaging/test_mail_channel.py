"""The mail that is made of a message, whatever stands in its metadata."""

import email
from email.policy import default
from typing import Any

import pytest

from undercroft.families.messaging.channels.mail import _mail
from undercroft.machinery.mail.addresses import Mailbox
from undercroft.machinery.mail.message import build

ANN, HOUSE = Mailbox("ann@example.com"), Mailbox("house@home.example")


def made(metadata: Any, **options: Any) -> Any:
    return _mail({"metadata": metadata, "content": "Hello"}, options, HOUSE, ANN)


@pytest.mark.parametrize("spoken", [None, 5, True, {"a": 1}, [None, 5], [], ""])
def test_an_address_of_speech_that_is_no_text_is_left_out(spoken: Any) -> None:
    assert made({"voice_speech_url": spoken}).text == "Hello"


@pytest.mark.parametrize("spoken", ["https://x.y/a", ["https://x.y/a", 5]])
def test_an_address_of_speech_is_told(spoken: Any) -> None:
    assert made({"voice_speech_url": spoken}).text == "Hello\n\nhttps://x.y/a"


@pytest.mark.parametrize("subject", [None, 5, ["a"], {"a": 1}, "", " \x00\ud800"])
def test_a_subject_that_is_no_text_is_the_label(subject: Any) -> None:
    assert made({"subject": subject}, label="News").subject == "News"
    assert made({"subject": subject}, label=7).subject == "A message for you"


@pytest.mark.parametrize("subject", ["=?utf-8?q?=0d=0aBcc:_e=40e.ee?=", "a\r\nBcc: e@e.ee", "a\x00b\u2028c"])
def test_a_subject_is_no_other_header(subject: str) -> None:
    for one in (made({"subject": subject}), made({}, label=subject)):
        parsed = email.message_from_bytes(build(one, "id", 0), policy=default)
        assert parsed["Bcc"] is None
        assert parsed["Subject"]
