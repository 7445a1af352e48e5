from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.machinery.leases.house import House
from undercroft.app.assembly import all_migrations
from undercroft.database import open_database

OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def open_house(database_url: str) -> AsyncIterator[OpenHouse]:
    """Opens the test's database as one more node each time; those that are handed a clock share it."""
    opened: list[House] = []

    async def open_one(node: str = "a", **more: object) -> House:
        database = await open_database(database_url, all_migrations(), lambda: 1_000)
        house = House(database, node, **more)  # type: ignore[arg-type]
        opened.append(house)
        return house

    yield open_one
    for house in opened:
        await house.close()


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house()
