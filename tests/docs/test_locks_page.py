"""docs/locks.md: its commands are run, its tables are those of the code."""

import re
from collections.abc import Callable

import pytest

from tests.docs.fences import PROJECT, fences, table_under
from undercroft.app.cli.locks.flags import Lost, NotObtained
from undercroft.families.locks import http, model
from undercroft.families.locks.refusing import CODES
from undercroft.machinery.leases.model import KEYS_KEPT

PAGE = PROJECT / "docs" / "locks.md"


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE) >= 12, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_the_error_codes_are_those_of_the_code() -> None:
    assert table_under(PAGE, "Errors") == [[f"`{code}`", meaning] for code, meaning in CODES.values()]


def test_the_fields_are_those_of_the_code() -> None:
    shown = [re.findall(r"`(\w+)`", row[0])[0] for row in table_under(PAGE, "POST /systems/locks")]
    assert sorted(shown) == sorted(model.LockIn.__struct_fields__)


def test_the_exit_codes_are_those_of_the_code() -> None:
    codes = [row[0] for row in table_under(PAGE, "One command")]
    assert codes[1:3] == [str(NotObtained.exit_code), str(Lost.exit_code)]


LIMITS = {
    "name": (model.LONGEST_NAME,),
    "`owner`": (model.LONGEST_OWNER,),
    "`Idempotency-Key`": (model.LONGEST_KEY,),
    "`ttl`": (0, model.LONGEST_TTL // 31_557_600),
    "`wait`": (model.LONGEST_WAIT,),
    "`lock_delay`": (model.LONGEST_DELAY,),
    "request body": (http.LONGEST_BODY // 1_024,),
    "locks per page": (http.MOST_PER_PAGE,),
}


@pytest.mark.parametrize("what", LIMITS)
def test_the_limits_are_those_of_the_code(what: str) -> None:
    shown = dict(table_under(PAGE, "Limits"))[what]
    assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", shown)] == list(LIMITS[what])
    assert KEYS_KEPT == 86_400_000
