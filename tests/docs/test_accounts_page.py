"""docs/accounts.md and docs/permissions.md: commands are run, tables are those of the code."""

import re
from collections.abc import Callable

import pytest

from tests.docs.fences import PROJECT, fences, table_under
from tests.services.croft import Croft
from undercroft.app.permissions import PERMISSIONS, WHO
from undercroft.app.setting_readers import READERS
from undercroft.app.settings import Settings
from undercroft.base.clock import DAY, MINUTE, SECOND
from undercroft.families.accounts import FAMILY, USER_TOKENS
from undercroft.families.accounts.http import users as sign_ups
from undercroft.machinery.identity import keys, logins, passwords, resets, teams, users

PAGE = PROJECT / "docs" / "accounts.md"
TEXT = PAGE.read_text()
WORDS = " ".join(TEXT.split())


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE, logged_in=False) >= 10, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_the_page_is_about_every_path_of_the_family(start_croft: Callable[..., Croft]) -> None:
    described = start_croft().http.get("/openapi.json").json()["paths"]
    served = {
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method, operation in methods.items()
        if operation["tags"][0] in (FAMILY, USER_TOKENS)
    }
    shown = {row[0].split("?")[0] for row in table_under(PAGE, "Over HTTP")}
    names = {"{email}": "EMAIL", "{team}": "TEAM", "{user}": "USER"}
    assert {re.sub(r"\{\w+\}", lambda name: names[name[0]], path) for path in served} == shown


@pytest.mark.parametrize(
    "setting", sorted(set(re.findall(r"`(\w+)` \(\d", TEXT)) | {"public_signup", "trusted_proxies"})
)
def test_each_setting_that_is_named_exists(setting: str) -> None:
    assert setting in READERS
    assert f"`{setting}`" in TEXT


def test_the_limits_are_those_of_the_code() -> None:
    shown = [(row[1], row[2]) for row in table_under(PAGE, "Limited logins")]
    in_code = [logins.PER_PLACE, logins.PER_ACCOUNT, logins.PER_KNOWN_PLACE]
    assert shown == [(str(limit.burst), _written(limit.every)) for limit in in_code]


def _written(milliseconds: int) -> str:
    return f"{milliseconds // MINUTE} min" if milliseconds % MINUTE == 0 else f"{milliseconds // SECOND} s"


@pytest.mark.parametrize(
    "words",
    [
        f"A password has {passwords.SHORTEST} to {passwords.LONGEST} bytes",
        f"`login_expires` ({Settings().login_expires * SECOND / DAY:g} days)",
        f"`max_sessions` ({Settings().max_sessions})",
        f"`apps_per_user` ({Settings().apps_per_user})",
        f"good once and for {resets.LASTS // (60 * MINUTE)} hours",
        "good for **one hour**",
        "Three are sent per user and ten from one address, then one in twenty and in five minutes",
        "ten from one address and then one in six minutes",
        f"within {logins.PLACE_IS_KNOWN_FOR // DAY} days",
        f"up to {teams.LONGEST_NAME} letters",
        "RSA from 2048 bits on",
    ],
)
def test_the_figures_are_those_of_the_code(words: str) -> None:
    assert words in WORDS
    assert users.MAILED_PASSWORD_LASTS == 60 * MINUTE
    assert (resets.PER_USER, resets.PER_PLACE) == ((3, 20 * MINUTE), (10, 5 * MINUTE))
    assert sign_ups.SIGN_UPS == (10, 6 * MINUTE)
    assert "ssh-rsa" in keys.TYPES and "ssh-dss" not in keys.TYPES


def test_the_actions_that_are_written_down_are_those_of_the_code() -> None:
    source = "".join(path.read_text() for path in (PROJECT / "src/undercroft/machinery/identity").glob("*.py"))
    recorded = set(re.findall(r'record\(\s*tx, now, .*?"([a-z ]+)", ', source))
    paragraph = re.search(r"newest first: (.*?) \(once an hour", WORDS)
    assert paragraph is not None
    assert set(re.findall(r"`([a-z ]+)`", paragraph[1])) == recorded


def test_the_table_of_permissions_is_that_of_the_code() -> None:
    shown = table_under(PROJECT / "docs" / "permissions.md", "The table")
    assert shown == [[family, verb, WHO[access]] for family, of in PERMISSIONS.items() for verb, access in of.items()]
