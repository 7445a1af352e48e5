from collections.abc import Iterator

import pytest

from tests.services.mailserver import MailServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def relay() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
