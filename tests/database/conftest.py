from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from undercroft.database import Database, Migration, open_database

Open = Callable[..., Awaitable[Database]]

THINGS = Migration("tests", 1, "CREATE TABLE things (id {identity}, name TEXT NOT NULL UNIQUE, size BIGINT)")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def is_furnished() -> bool:
    return False


@pytest.fixture
async def open_again(database_url: str) -> AsyncIterator[Open]:
    """Opens the test's database, once more each time; with a table `things` unless other migrations are given."""
    opened: list[Database] = []

    async def open_one(migrations: list[Migration] | None = None, pool: int = 8) -> Database:
        database = await open_database(database_url, migrations or [THINGS], lambda: 1_000, pool=pool)
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        await database.close()


@pytest.fixture
async def database(open_again: Open) -> Database:
    return await open_again()
