from collections.abc import AsyncIterator

import pytest

from tests.machinery.deliveries.webhook.sending import Sender


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    made = Sender()
    yield made
    made.transport.close()
