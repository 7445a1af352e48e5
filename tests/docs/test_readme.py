"""The tour in the README, pasted block by block into terminals, beginning with an empty home."""

import re
from pathlib import Path

from tests.docs.fences import PROJECT, fences
from tests.docs.page import PageRun

README = PROJECT / "README.md"
# The tests are set up already; what `make run` adds to this is looked at below.
MAKE_RUN = {"make run": "croft run --listen 127.0.0.1:3862"}


def test_the_tour_does_what_it_shows(tmp_path: Path) -> None:
    tour = PageRun(README, tmp_path, MAKE_RUN, {})
    try:
        assert tour.run() >= 9, "blocks have lost their marks"
    finally:
        tour.close()


def test_make_run_is_croft_run_on_the_same_address() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    assert re.search(r"^run: setup.*\n\t@exec \.venv/bin/croft run \$\(ARGS\)$", makefile, re.M)


def test_only_getting_and_making_is_left_to_the_reader() -> None:
    untried = [fence.text for fence in fences(README) if fence.language == "sh" and not fence.words]
    words = {line.split()[0] for text in untried for line in text.splitlines()}
    assert words <= {"sudo", "git", "cd", "make"}
