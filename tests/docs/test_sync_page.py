"""docs/sync.md: its commands are run, its tables are those of the code."""

import re
from collections.abc import Callable

import pytest

from tests.docs.fences import PROJECT, fences, table_under
from tests.services.croft import Croft
from undercroft.families.sync import actions
from undercroft.families.sync.drivers import COMMON, DRIVERS

PAGE = PROJECT / "docs" / "sync.md"


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE) >= 7, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_the_options_are_those_of_the_code() -> None:
    shown = [row[0].strip("`") for row in table_under(PAGE, "Options")]
    assert shown == [*DRIVERS["local_storage"], *COMMON]


@pytest.mark.parametrize(("heading", "driver"), [("An S3 bucket", "amazon_s3"), ("Dropbox", "dropbox")])
def test_the_options_of_a_storage_are_those_of_the_code(heading: str, driver: str) -> None:
    assert [row[0].strip("`") for row in table_under(PAGE, heading)] == [*DRIVERS[driver]]


def test_every_path_is_told(start_croft: Callable[..., Croft]) -> None:
    paths = start_croft().http.get("/openapi.json").json()["paths"]
    told = set()
    for row in table_under(PAGE, "Over HTTP"):
        whole = re.findall(r"`([^`]+)`", row[0])
        told |= {part if part.startswith("/") else whole[0].rpartition("/")[0] + "/" + part for part in whole}
    assert told == {path.removeprefix("/api/v1.0") for path in paths if path.startswith("/api/v1.0")}


def test_the_figures_are_those_of_the_code() -> None:
    assert actions.FEW == 10
    assert COMMON["delete_share"].default == 0.5
    assert COMMON["keep_versions"].default == 30
