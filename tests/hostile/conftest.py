"""One server per engine for all bad input: what one input breaks, a later one shall find."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.target import Target
from tests.services.croft import Croft, new_token
from tests.services.postgres import Postgres

# Short, so that those who are slow are hung up on within a test; input of these tests is quick.
REQUEST_TIMEOUT = 2


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def on_each_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    url = None
    if request.param == "postgres":
        cluster: Postgres = request.getfixturevalue("postgres_cluster")
        cluster.start()
        url = cluster.create_database()
    yield from _serve(tmp_path_factory.mktemp("hostile"), url)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """For what never comes as far as a database."""
    yield from _serve(tmp_path_factory.mktemp("hostile"), None)


@pytest.fixture
def both(on_each_engine: Target) -> Iterator[Target]:
    """A server on each engine, in which the test's input changes nothing and breaks nothing."""
    yield from _unchanged(on_each_engine)


@pytest.fixture
def target(shared: Target) -> Iterator[Target]:
    """A server in which the test's input changes nothing and breaks nothing."""
    yield from _unchanged(shared)


def _serve(folder: Path, url: str | None) -> Iterator[Target]:
    croft = Croft(
        folder, database=url, token=new_token(), environment={"UNDERCROFT_REQUEST_TIMEOUT": f"{REQUEST_TIMEOUT}s"}
    )
    try:
        croft.start()
        yield Target(croft, url)
    finally:
        croft.close()


def _unchanged(target: Target) -> Iterator[Target]:
    before = target.dump()
    faults = target.faults()
    yield target
    assert target.croft.healthy()
    assert target.dump() == before, "it changed something"
    assert target.faults() == faults, target.croft.log_tail()
