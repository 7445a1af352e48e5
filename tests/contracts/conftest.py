"""One server per engine for all of the contract; each test calls a db of its own."""

from collections.abc import Iterator

import pytest

from tests.contracts.caller import Caller
from tests.services.croft import Croft, new_token
from tests.services.postgres import Postgres
from tests.services.receiver import Receiver


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def croft(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Croft]:
    url = None
    if request.param == "postgres":
        cluster: Postgres = request.getfixturevalue("postgres_cluster")
        cluster.start()
        url = cluster.create_database()
    server = Croft(
        tmp_path_factory.mktemp("contracts"),
        database=url,
        token=new_token(),
        environment={"UNDERCROFT_TRUSTED_PROXIES": "127.0.0.1"},
    )  # people come from places of their own
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def bare(croft: Croft, receiver: Receiver) -> Caller:
    """A caller of a db in which there is nothing yet."""
    return Caller(croft, receiver)


@pytest.fixture
def shop(bare: Caller) -> Caller:
    """A caller of a db with the route `hook`, whose jobs have one attempt."""
    bare.make_route(retries=[])
    return bare
