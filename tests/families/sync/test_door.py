"""The family's door: what the app takes of it is there, and who only comes past carries nothing of it along."""

import subprocess
import sys

import pytest

from undercroft.families import sync
from undercroft.families.sync import door


def modules_of(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_all_that_the_door_names_is_there() -> None:
    for name in door.__all__:
        assert getattr(sync, name) is getattr(door, name)


def test_what_it_does_not_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'actions_of_others'"):
        _ = sync.actions_of_others


def test_a_room_is_no_part_of_it() -> None:
    """Who imports one from the family does not open the door."""
    carried = modules_of("from undercroft.families.sync import names")

    assert "undercroft.families.sync.names" in carried
    assert "undercroft.families.sync.door" not in carried


def test_what_comes_in_by_the_door_stays_in() -> None:
    """The door's own imports are no part of it."""
    with pytest.raises(AttributeError, match="has no attribute 'Database'"):
        _ = sync.Database


def test_an_entrys_process_carries_nothing_of_the_house_along() -> None:
    """There is one for each entry: what it does not need costs memory and a moment of every start."""
    carried = modules_of("import undercroft.families.sync.worker.__main__")

    house = {"undercroft.app", "undercroft.database", "undercroft.machinery", "undercroft.families.sync.store"}
    libraries = {"structlog", "rich", "apsw", "psycopg", "jinja2", "opendal", "asyncssh", "httpx", "pyreqwest"}
    assert not carried & (house | libraries)
