from collections.abc import AsyncIterator

import pytest

from tests.families.timers.shop import Shop, opened


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """With a route `hook` whose jobs have one attempt."""
    async with opened(database_url) as shop:
        await shop.route(retries=[])
        yield shop
