"""A relay's URL: what it means, and what is said of a wrong one, which never repeats a password."""

from pathlib import Path

import pytest

from undercroft.machinery.deliveries.smtp import Relay, read_relay


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", Relay("mail.example.com", 25)),
        ("smtps://mail.example.com", Relay("mail.example.com", 465, tls=True)),
        ("smtp://[::1]:2525?starttls=never", Relay("::1", 2525, starttls="never")),
        (
            "smtp://me%40x:p%40%2Fs@mail.example.com",
            Relay("mail.example.com", 587, starttls="required", user="me@x", password="p@/s"),
        ),
        (
            "smtp://u:p@h:25/?starttls=auto&verify=no&helo=web.example.com&connections=3",
            Relay("h", 25, False, "auto", "u", "p", False, "", "web.example.com", 3),
        ),
    ],
)
def test_what_a_url_means(url: str, expected: Relay) -> None:
    assert read_relay(url)[:] == expected[:]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mail.example.com:25", "smtp://user:password@host:587"),
        ("http://u:hunter2@h", "smtp://user:password@host:587"),
        ("smtp://u:hunter2@h:port", "percent-encoded"),
        ("smtp://u:hunter2/x@h", "percent-encoded"),
        ("smtp://u:hunt#er2@h", "percent-encode"),
        ("smtp://u:hunter2@h/inbox", "percent-encode"),
        ("smtp://:hunter2@h", "no user"),
        ("smtp://", "names no host"),
        ("smtp://u:hunter2@h?starttls=maybe", "required, auto or never"),
        ("smtps://u:hunter2@h?starttls=auto", "goes with smtp://"),
        ("smtp://u:hunter2@h?tls=1", "options are starttls"),
        ("smtp://h?verify=no&verify=yes", "there twice"),
        ("smtp://h?verify=perhaps", "yes or no"),
        ("smtp://h?connections=0", "1 to 50"),
        ("smtp://h?connections=" + "9" * 5_000, "1 to 50"),
        ("smtp://h?helo=a%0D%0Ab", "this server's name"),
        ("smtp://h?ca=/no/such/file", "is no file"),
        ("smtp://h\r\n.example", "names no host"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as wrong:
        read_relay(url)
    assert hint in str(wrong.value)
    assert "hunt" not in str(wrong.value)


def test_a_relay_is_shown_without_its_login(tmp_path: Path) -> None:
    relay = read_relay("smtp://u:hunter2@mail.example.com:2525")
    assert relay.shown() == "smtp://mail.example.com:2525"
    assert "hunter2" not in repr(relay)
