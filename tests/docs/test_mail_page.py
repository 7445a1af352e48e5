"""docs/mail.md: its commands are run, its tables are those of the code."""

import re
from collections.abc import Callable

from tests.docs.fences import PROJECT, fences, table_under
from undercroft.app.settings import Settings
from undercroft.base.clock import SECOND
from undercroft.families.mail.model import MOST_IN_LIST, MOST_SUPPRESSED, EmailIn
from undercroft.families.mail.refusing import CODES
from undercroft.machinery.deliveries.smtp import Limits, read_relay, share_of_one
from undercroft.machinery.mail import headers, model
from undercroft.machinery.mail.schedule import RETRIES

PAGE = PROJECT / "docs" / "mail.md"
TEXT = " ".join(PAGE.read_text().split())


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE) >= 9, "blocks have lost their marks"


def test_only_what_needs_a_relay_of_yours_is_left_out() -> None:
    left_out = [fence.text for fence in fences(PAGE) if fence.language == "sh" and not fence.words]
    assert [text.split("=")[0].split()[0] for text in left_out] == ["UNDERCROFT_SMTP_URL", "openssl"]


def test_the_error_codes_are_those_of_the_code() -> None:
    assert table_under(PAGE, "Errors") == [[f"`{code}`", meaning] for code, meaning in CODES.values()]


def test_the_states_are_those_of_the_code() -> None:
    assert [row[0] for row in table_under(PAGE, "States")] == [f"`{state}`" for state in model.STATES]


def test_the_fields_are_those_of_the_code() -> None:
    shown = {name for row in table_under(PAGE, "POST /systems/emails") for name in re.findall(r"`(\w+)`", row[0])}
    assert shown == set(EmailIn.__struct_encode_fields__)


def test_the_limits_are_those_of_the_code() -> None:
    shown = {row[0]: [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", row[1])][:2]
             for row in table_under(PAGE, "Limits")}  # fmt: skip
    assert list(shown.values())[:6] == [
        [model.MOST_RECIPIENTS],
        [model.LONGEST_SUBJECT],
        [model.LONGEST_BODY],
        [model.MOST_ATTACHMENTS, Settings().mail_max_attachments // 2**20],
        [headers.MOST_HEADERS, headers.LONGEST_VALUE],
        [MOST_IN_LIST],
    ]
    assert f"up to {MOST_IN_LIST} e-mails" in TEXT
    assert f"several at once, up to {MOST_SUPPRESSED}," in TEXT


def test_the_retries_are_those_of_the_code() -> None:
    words = re.search(r"after pauses of (.*?) \(the setting `mail_retries`\)", TEXT)
    assert words is not None
    units = {"min": 60, "h": 3_600}
    assert tuple(int(n) * units[unit] for n, unit in re.findall(r"(\d+) (min|h)\b", words[1])) == RETRIES
    assert round(sum(RETRIES) / 86_400) == 3


def test_the_defaults_are_those_of_the_code() -> None:
    assert f"`mail_wait` says, {Settings().mail_wait:.0f} seconds" in TEXT
    assert f"`mail_keep` says, {Settings().mail_keep / 86_400:.0f} days" in TEXT
    assert model.CLOCK_SKEW == 5 * SECOND
    relay = read_relay("smtp://h")
    options = {row[0]: row[1] for row in table_under(PAGE, "The relay")}
    assert options["`connections`"] == f"`{relay.connections}`"
    one, house = share_of_one(relay.connections), 1
    assert f"alone it has {one} of {relay.connections}" in TEXT
    assert f"the next has {-(-(relay.connections - house - one) // 2)}" in TEXT
    limits = Limits()
    assert f"{limits.connect:g} s for a connection" in TEXT and f"{limits.answer:g} s each for" in TEXT
    assert f"{limits.message:g} s for the message" in TEXT
    assert options["`verify`"] == ("`yes`" if relay.verify else "`no`")
    assert options["`starttls`"] == f"`{read_relay('smtp://u:p@h').starttls}` with a password, else `{relay.starttls}`"
    ports = [read_relay(url).port for url in ("smtp://h", "smtp://u@h", "smtps://h")]
    assert "Ports are {}, {} with a user, and {} for".format(*ports) in TEXT
