from collections.abc import AsyncIterator, Iterator

import pytest

from tests.machinery.deliveries.making import Clock
from tests.machinery.deliveries.smtp.sending import Connect, envelope_of
from tests.services.mailserver import MailServer
from undercroft.machinery.deliveries.smtp import (
    Limits,
    SmtpTransport,
    read_relay,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes transports to relays by their URLs, with these limits."""
    made: list[SmtpTransport] = []

    def make(url: str, **limits: float) -> SmtpTransport:
        made.append(SmtpTransport(Clock(), read_relay(url), envelope_of, limits=Limits(**limits)))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture
def relay() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
