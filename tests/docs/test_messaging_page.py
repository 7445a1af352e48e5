"""docs/messaging.md: its commands are run, its numbers are those of the code."""

import re
from collections.abc import Callable

from tests.docs.fences import PROJECT, fences, table_under
from undercroft.base.clock import DAY
from undercroft.families.messaging import forgetting, runs, setfiles
from undercroft.families.messaging.channels import WORDS
from undercroft.families.messaging.channels.targets import RETRIES
from undercroft.families.messaging.http import MOST_BODY, fields
from undercroft.families.messaging.http.paging import PAGE_SIZE
from undercroft.families.messaging.rules import actions, matching

PAGE = PROJECT / "docs" / "messaging.md"
TEXT = " ".join(PAGE.read_text().split())


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE) >= 12, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_the_channels_are_those_of_the_code() -> None:
    assert [row[0] for row in table_under(PAGE, "Channels")] == [f"`{word}`" for word in WORDS]


def test_the_fields_of_a_subscription_are_those_of_the_code() -> None:
    shown = {row[0].strip("`"): row[1] for row in table_under(PAGE, "Subscriptions")}
    assert shown.keys() == {field.name for field in fields.SUBSCRIPTION}
    assert {name for name, word in shown.items() if word == "needed"} == {
        field.name for field in fields.SUBSCRIPTION if field.required
    }


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{runs.PER_STEP} at a time, with at most {runs.MOST_AHEAD + runs.PER_STEP:,} messages" in TEXT
    assert len(RETRIES) + 1 == 8 and "tried eight times" in TEXT
    limits = dict(table_under(PAGE, "Limits"))
    assert limits["a page"] == f"{PAGE_SIZE:,}"
    most = f"{setfiles.MOST_MESSAGES:,}; {setfiles.LONGEST_FILE // 2**20} MiB in all"
    assert limits["messages of a file that is imported"] == most
    assert limits["a text, notes"] == f"{fields.LONGEST_TEXT:,} letters"
    assert limits["metadata, as JSON"] == f"{fields.LONGEST_JSON:,} letters"
    assert limits["another body"] == f"{MOST_BODY // 2**20} MiB"
    assert limits["finished runs, who was behind, estimates"] == f"kept for {forgetting.KEPT // DAY} days"
    assert limits["rules"] == f"{actions.MOST_RULES:,}" and matching.MOST_CHAINED == 10 and "ends after ten" in TEXT
    assert re.search(r"half a day", TEXT) and 10 * 3_600 < sum(RETRIES) < 14 * 3_600


def test_the_events_of_rules_are_those_of_the_code() -> None:
    events = (*matching.OF_SUBSCRIPTIONS, *matching.OF_IDENTITIES)
    assert [row[0] for row in table_under(PAGE, "Rules")] == [f"`{event}`" for event in events]
