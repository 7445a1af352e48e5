"""A page's commands, run against a server of the test's own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.docs.page import PageRun
from tests.services.croft import Croft


@pytest.fixture
def run_page(start_croft: Callable[..., Croft], tmp_path: Path) -> Callable[..., int]:
    """Runs a page from top to bottom; how many blocks there were. `logged_in` False: the page logs in by itself;
    `replaced`: words that mean something else here."""

    def run(page: Path, *, logged_in: bool = True, replaced: Mapping[str, str] | None = None) -> int:
        croft = start_croft()
        folder = tmp_path / "page"
        (folder / "var").mkdir(parents=True, exist_ok=True)
        (folder / "var" / "admin-token").write_text(croft.token)
        login = {"UNDERCROFT_URL": croft.url, "UNDERCROFT_TOKEN": croft.token} if logged_in else {}
        running = PageRun(page, folder, {"http://127.0.0.1:3862": croft.url, **(replaced or {})}, login)
        try:
            return running.run()
        finally:
            running.close()

    return run
