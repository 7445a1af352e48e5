from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.database.engines import Engine, all_migrations
from tests.machinery.deliveries.making import Clock
from tests.machinery.deliveries.rig import Rig, running
from undercroft.database import open_database


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database of either engine with every table and no row."""
    opened = Engine(database_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with running(database_url, Clock()) as rig:
        yield rig


@pytest.fixture
async def three(postgres_url: str) -> AsyncIterator[list[Rig]]:
    """Three nodes on one database, each with a clock of its own."""
    database = await open_database(postgres_url, all_migrations(), Clock())
    async with AsyncExitStack() as stack:
        names = ("a", "b", "c")
        rigs = [running(postgres_url, Clock(), node=name, database=database) for name in names]
        yield [await stack.enter_async_context(rig) for rig in rigs]
    await database.close()
