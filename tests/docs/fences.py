"""The fenced blocks of a page, and which of them a test runs.

The words after a fence's language say it, and Markdown shows none of them:

    sh run               runs in the page's terminal
    sh beside=NAME       runs in a terminal of its own until the page ends
    json answer          what the last `sh run` printed
    text answer=NAME     what the terminal NAME shows by now
    python keep=FILE     is kept as this file before the page runs
"""

import re
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])

_FENCE = re.compile(r"^(?P<marks>`{3,})(?P<language>\w*)(?P<words>[^`\n]*)\n(?P<text>.*?)^(?P=marks)$", re.M | re.S)


class Fence(NamedTuple):
    language: str
    words: dict[str, str]
    text: str
    line: int


def fences(page: Path) -> list[Fence]:
    """Every fenced block of a page in order; `line` is that of its first mark."""
    content = page.read_text()
    return [
        Fence(
            found["language"],
            dict(word.partition("=")[::2] for word in found["words"].split()),
            found["text"],
            content.count("\n", 0, found.start()) + 1,
        )
        for found in _FENCE.finditer(content)
    ]


def without_fences(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def table_under(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table after this heading, its head and the line below that left out."""
    _, found, rest = page.read_text().partition(f"# {heading}\n")
    assert found, f"{page.name} has no heading {heading!r}"
    lines = rest.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows[2:]
