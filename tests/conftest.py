"""What every test may ask for: a database of either engine, real servers, a receiver, a browser."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import hypothesis
import pytest
import structlog
from playwright.sync_api import Browser, Page, sync_playwright

from tests.services.apache import Apache, find_apache
from tests.services.browser import browser_options, find_browser
from tests.services.croft import Croft, new_token
from tests.services.postgres import Postgres, find_postgres
from tests.services.receiver import Receiver
from tests.services.s3server import S3Server
from tests.services.sshd import Sshd, find_sshd

# Folders of tests that start whole servers come last. The browser's very last: Playwright keeps an event loop running
# in this thread as long as the browser lives, and no other test could run its own.
LAST = ("nodes", "browser")

# A shared machine may stall anywhere; how fast an example runs, or is made, is measured elsewhere. The same examples
# everywhere: what is taken does not hang on chance. `--hypothesis-profile=others` looks for others.
hypothesis.settings.register_profile(
    "others", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=False
)
hypothesis.settings.register_profile("the same", hypothesis.settings.get_profile("others"), derandomize=True)
hypothesis.settings.load_profile("the same")

# A traceback with a picture of every frame's variables takes up to a second, and many tests bring about a fault.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

servers = pytest.StashKey[list[Croft]]()


class Server(Protocol):
    def start(self) -> None: ...

    def remove(self) -> None: ...


S = TypeVar("S", bound=Server)


def kept(server: S) -> Iterator[S]:
    """Of the whole session."""
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Postgres]:
    binaries = find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL server not found: apt-get install postgresql")
    yield from kept(Postgres(binaries))


@pytest.fixture
def postgres(postgres_cluster: Postgres) -> Iterator[Postgres]:
    """The session's cluster, running. A test may stop, kill and restart it."""
    postgres_cluster.start()
    yield postgres_cluster
    postgres_cluster.start()


@pytest.fixture(scope="session")
def furnished_postgres(postgres_cluster: Postgres) -> str:
    """A PostgreSQL database with the house's tables, to be copied: that is quicker than making them each time."""
    from tests.database.engines import furnished  # takes half a second, which tests without a database need not

    postgres_cluster.start()
    return furnished(postgres_cluster.create_database())


@pytest.fixture(scope="session")
def furnished_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a file."""
    from tests.database.engines import furnished

    path = tmp_path_factory.mktemp("furnished") / "undercroft.db"
    furnished(f"sqlite:///{path}")
    return path


@pytest.fixture
def is_furnished() -> bool:
    """Whether a test's new database has the house's tables, and nothing in them; else it is empty."""
    return True


@pytest.fixture
def postgres_url(postgres: Postgres, is_furnished: bool, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new PostgreSQL database."""
    url = postgres.create_database(request.getfixturevalue("furnished_postgres") if is_furnished else None)
    yield url
    postgres.start()
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path, is_furnished: bool, request: pytest.FixtureRequest) -> str:
    """A new database file; where it is empty, one that does not exist yet."""
    path = tmp_path / "undercroft.db"
    if is_furnished:
        shutil.copyfile(request.getfixturevalue("furnished_sqlite"), path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, is_furnished: bool) -> str:  # which tests may give a value
    """A new database; the test runs once on each engine."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def start_croft(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Croft]]:
    """Starts servers given what `Croft` takes, each with its own data and all with one token."""
    token = new_token()
    started = request.node.stash.setdefault(servers, [])

    def start(**options: Any) -> Croft:
        croft = Croft(tmp_path / f"croft-{len(started)}", **{"token": token, **options})
        started.append(croft)
        croft.start()
        return croft

    yield start
    for croft in started:
        croft.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The session's S3 server; a test takes a bucket of its own."""
    yield from kept(S3Server())


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """The session's SSH server; a test takes a folder of its own."""
    program = find_sshd()
    if program is None:
        pytest.skip("sshd not found: apt-get install openssh-server")
    yield from kept(Sshd(program))


@pytest.fixture(scope="session")
def apache() -> Iterator[Apache]:
    """The session's WebDAV server; a test takes a folder of its own."""
    program = find_apache()
    if program is None:
        pytest.skip("Apache not found: apt-get install apache2-bin")
    yield from kept(Apache(program))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip("Chromium not found: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser_options())
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab with no cookies of other tests."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, name in enumerate(LAST, 1) if name in item.nodeid.split("/")), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    if report.failed:
        for croft in item.stash.get(servers, []):
            report.sections.append((f"log of croft on port {croft.port}", croft.log_tail()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where CI=true nothing may be missing: a skip is a failure there. An expected failure is no skip."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"CI=true allows no skip, and this was one. {reason}"
