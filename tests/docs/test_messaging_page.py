"""docs/messaging.md: its commands are run, its numbers are those of the code."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.docs.fences import PROJECT, fences, table_under
from tests.docs.page import PageRun
from tests.services.croft import Croft
from undercroft.families.messaging import runs, setfiles
from undercroft.families.messaging.channels import WORDS
from undercroft.families.messaging.channels.targets import RETRIES
from undercroft.families.messaging.http import MOST_BODY, fields
from undercroft.families.messaging.http.paging import PAGE_SIZE

PAGE = PROJECT / "docs" / "messaging.md"
TEXT = " ".join(PAGE.read_text().split())


def test_every_command_does_what_it_shows(start_croft: Callable[..., Croft], tmp_path: Path) -> None:
    croft = start_croft()
    folder = tmp_path / "page"
    (folder / "var").mkdir(parents=True)
    (folder / "var" / "admin-token").write_text(croft.token)
    login = {"UNDERCROFT_URL": croft.url, "UNDERCROFT_TOKEN": croft.token}
    page = PageRun(PAGE, folder, {"http://127.0.0.1:3862": croft.url}, login)
    try:
        assert page.run() >= 12, "blocks have lost their marks"
    finally:
        page.close()


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
    assert re.search(r"half a day", TEXT) and 10 * 3_600 < sum(RETRIES) < 14 * 3_600
