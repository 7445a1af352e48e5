"""How things are shown: moments, tables, and texts that could steer a terminal."""

import io
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from undercroft.app.cli import show

NOW = 1_900_000_000_000


@given(some.integers(0, 4_102_444_800_000))
def test_a_shown_moment_reads_back_to_the_millisecond(ms: int) -> None:
    text = show.moment_text(ms)
    assert round(datetime.fromisoformat(text[:23] + text[24:]).timestamp() * 1_000) == ms


@pytest.mark.parametrize(("ms", "text"), [(None, ""), (-1, "-1"), (10**18, str(10**18))])
def test_what_is_no_moment_is_shown_all_the_same(ms: object, text: str) -> None:
    assert show.moment_text(ms) == text


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (0, "now"),
        (400, "now"),
        (-1_600, "2s ago"),
        (4_999, "in 5s"),
        (90_000, "in 1m30s"),
        (-7_300_000, "2h1m ago"),
        (100 * 86_400_000 + 1, "in 100d"),
    ],
)
def test_distances(ahead: int, text: str) -> None:
    assert show.distance_text(NOW + ahead, NOW) == text


@given(some.text())
def test_no_text_steers_the_terminal(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in show.harmless(text))
    show.harmless(text).encode()


@given(some.lists(some.tuples(some.text(max_size=40), some.text(max_size=400)), max_size=5))
def test_off_a_terminal_each_row_is_one_line_and_nothing_is_cut(rows: list[tuple[str, str]]) -> None:
    lines = _printed(rows, Elsewhere()).splitlines()
    assert len(lines) == 1 + len(rows)
    for line, (_, last) in zip(lines[1:], rows, strict=True):
        assert line.endswith(show.harmless(last).replace("\n", " ").rstrip())


@given(some.lists(some.tuples(some.text("ab ", max_size=20), some.text("xyz[]/:", max_size=400)), max_size=5))
def test_on_a_terminal_the_last_column_is_cut_and_the_row_stays_one_line(rows: list[tuple[str, str]]) -> None:
    lines = _printed(rows, Terminal()).splitlines()
    assert len(lines) == 1 + len(rows)
    assert all(len(line) <= 80 for line in lines)


class Elsewhere(io.StringIO):
    def isatty(self) -> bool:
        return False


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _printed(rows: list[tuple[str, str]], out: io.StringIO) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        patch.setenv("TERM", "dumb")
        patch.setattr(sys, "stdout", out)
        show.print_table(("NAME", "LAST"), rows)
    return out.getvalue()
