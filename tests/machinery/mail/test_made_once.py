"""The message of a mail is made once, however many recipients it is sent to at the same moment."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from tests.machinery.mail.making import NOW, order
from undercroft.app.assembly import all_migrations
from undercroft.database import Database, open_database
from undercroft.machinery.deliveries import store as deliveries
from undercroft.machinery.deliveries.model import Delivery
from undercroft.machinery.deliveries.smtp import Envelope, NothingToSend
from undercroft.machinery.mail import store
from undercroft.machinery.mail.actions import enqueue_many
from undercroft.machinery.mail.sending import MOST_AT_ONCE, Outgoing

pytestmark = pytest.mark.anyio

EIGHT = ", ".join(f"user{n}@example.com" for n in range(8))


class Signing:
    """What is called once for each message that is made; it takes long enough for others to come meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.made = 0
        self.most_at_once = 0

    def __call__(self, message: bytes) -> bytes:
        with self._lock:
            self.made += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(0.05)
        with self._lock:
            self._now -= 1
        return b"X-Signed: yes\r\n" + message


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url, all_migrations(), lambda: NOW)
    yield opened
    await opened.close()


async def ordered(database: Database, mails: int = 1) -> list[Delivery]:
    await database.write(enqueue_many, [order(to=EIGHT) for _ in range(mails)])
    rows = await database.read(lambda tx: tx.all(f"SELECT {deliveries.COLUMNS} FROM deliveries ORDER BY id"))
    return [Delivery._make(row) for row in rows]


async def envelopes(outgoing: Outgoing, those: list[Delivery]) -> list[Envelope]:
    return list(await asyncio.gather(*(outgoing.envelope(one) for one in those)))


async def test_all_who_ask_at_once_get_the_same_bytes(database: Database) -> None:
    signing = Signing()
    found = await envelopes(Outgoing(database, signing), await ordered(database))
    assert signing.made == 1
    assert len({one.recipient for one in found}) == 8
    assert len({id(one.message) for one in found}) == 1


async def test_few_are_made_at_the_same_time(database: Database) -> None:
    signing = Signing()
    await envelopes(Outgoing(database, signing), await ordered(database, 6))
    assert (signing.made, signing.most_at_once) == (6, MOST_AT_ONCE)


async def test_one_that_is_too_large_to_be_kept_is_not_made_again_while_it_is_being_sent(database: Database) -> None:
    signing = Signing()
    outgoing = Outgoing(database, signing, most_kept=1)
    first, second, *_ = await ordered(database)
    held = [await outgoing.envelope(first)]
    held.append(await outgoing.envelope(second))
    assert signing.made == 1
    held.clear()
    await outgoing.envelope(first)
    assert signing.made == 2, "nobody held it any more"


async def test_who_gives_up_takes_it_from_no_other(database: Database) -> None:
    signing = Signing()
    outgoing = Outgoing(database, signing)
    first, second, *_ = await ordered(database)
    impatient, patient = (asyncio.ensure_future(outgoing.envelope(one)) for one in (first, second))
    while not signing.made:  # noqa: ASYNC110 - a thread makes it
        await asyncio.sleep(0.001)
    impatient.cancel()
    assert (await patient).message.startswith(b"X-Signed")
    assert signing.made == 1


async def test_all_who_ask_for_one_that_is_gone_hear_so(database: Database) -> None:
    those = await ordered(database)
    await database.write(lambda tx: tx.run("UPDATE mails SET state = 2"))
    await database.write(store.forget, "", "~", 10)
    outgoing = Outgoing(database)
    for _ in range(2):
        answers = await asyncio.gather(*(outgoing.envelope(one) for one in those), return_exceptions=True)
        assert all(isinstance(answer, NothingToSend) for answer in answers)
