from collections.abc import AsyncIterator

import pytest

from tests.families.messaging.house import House, opened


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """With a schedule at eight, a set of two messages, and a route `hook` whose calls are written down."""
    async with opened(database_url) as house:
        await house.make_series()
        yield house
