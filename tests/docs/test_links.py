"""What the pages point to is there."""

import re
from pathlib import Path

import pytest

from tests.docs.fences import PAGES, PROJECT, without_fences

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links() -> list[tuple[Path, str]]:
    return [(page, link) for page in PAGES for link in LINK.findall(without_fences(page))]


def anchors(page: Path) -> set[str]:
    """As forges make them from headings: lower case, marks left out, blanks as hyphens."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages_and_links() -> None:
    assert {"README.md", "timers.md"} <= {page.name for page in PAGES}
    assert len(links()) > 20


@pytest.mark.parametrize("page, link", links(), ids=lambda value: value if isinstance(value, str) else value.name)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    if link.startswith("https://"):
        return
    path, _, anchor = link.partition("#")
    there = (page.parent / path).resolve() if path else page
    assert there.exists(), f"{page.name} points to {link}"
    assert there.is_relative_to(PROJECT)
    if anchor:
        assert anchor in anchors(there), f"{there.name} has no heading for #{anchor}"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:src|tests|docs|scripts|requirements)/[\w./]*\w)/?`",
                                                       "".join(page.read_text() for page in PAGES)))))  # fmt: skip
def test_a_path_that_is_named_exists(path: str) -> None:
    assert any(word in path for word in ("NAME", "FAMILY")) or (PROJECT / path).exists()


def test_no_page_speaks_of_the_place_where_it_was_written() -> None:
    for page in PAGES:
        found = re.search(r"/(work|tmp|root|home)/|\bseed\b(?!-services-client)|\bissue \d", page.read_text())
        assert found is None, f"{page.name}: {found}"
