from collections.abc import AsyncIterator

import pytest

from tests.database.engines import all_migrations
from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ADMINS_TOKEN, People
from undercroft.database import open_database
from undercroft.machinery.identity import actions


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[People]:
    database = await open_database(database_url, all_migrations(), lambda: NOW, pool=4)
    await database.write(actions.set_up_admin, ADMINS_TOKEN, NOW, kind=actions.PRESET)
    yield People(database)
    await database.close()


@pytest.fixture
async def crowd(postgres_url: str) -> AsyncIterator[People]:
    """As `people`, on the engine whose transactions really run side by side."""
    database = await open_database(postgres_url, all_migrations(), lambda: NOW, pool=6)
    await database.write(actions.set_up_admin, ADMINS_TOKEN, NOW, kind=actions.PRESET)
    yield People(database)
    await database.close()
