"""What is forgotten of mails in time; here the house's own, with tokens and passwords in them."""

from collections.abc import AsyncIterator

import pytest

from tests.database.engines import all_migrations
from tests.machinery.mail.making import NOW, mail
from undercroft.base.clock import DAY, HOUR
from undercroft.base.ids import base32
from undercroft.database import Database, Transaction, open_database
from undercroft.machinery.mail import store
from undercroft.machinery.mail.actions import Order, enqueue_many
from undercroft.machinery.mail.content import content_of
from undercroft.machinery.mail.model import State
from undercroft.machinery.mail.upkeep import PAGE, MailUpkeep

pytestmark = pytest.mark.anyio
HOUSE = ""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url, all_migrations(), lambda: NOW, pool=4)
    yield opened
    await opened.close()


def order(number: int, made_at: int, namespace: str = HOUSE, to: str = "ann@example.com") -> Order:
    """With the id that a mail of that moment has."""
    made = mail(to=to)
    return Order(base32(1 << 129 | made_at << 80 | number), namespace, "undercroft", made, content_of(made), made_at)


def told(tx: Transaction, order: Order, *states: State) -> None:
    store.note_told(tx, [store.Told(order.id, n, state, None) for n, state in enumerate(states)], order.now)


async def filled(database: Database) -> list[str]:
    """The mails of which it is still kept what is in them."""
    return [id for (id,) in await database.read(lambda tx: tx.all("SELECT mail FROM mail_contents ORDER BY mail"))]


async def test_what_was_mailed_is_forgotten_when_all_have_it_or_it_is_good_no_more(database: Database) -> None:
    upkeep = MailUpkeep(database, house=HOUSE, secrets_last=DAY)
    both = "ann@example.com, bob@example.com"
    sent, refused, waiting, another = order(1, NOW), order(2, NOW), order(3, NOW), order(4, NOW, "@admin")
    half, late = order(5, NOW, to=both), order(6, NOW + HOUR)
    captured = order(7, NOW)
    orders = [sent, refused, waiting, another, half, late, captured]
    await database.write(enqueue_many, orders)
    for one, states in (
        (sent, [State.SENT]),
        (refused, [State.REFUSED]),
        (waiting, [State.DEFERRED]),
        (captured, [State.CAPTURED]),
        (another, [State.SENT]),
        (half, [State.SENT, State.QUEUED]),
    ):
        await database.write(told, one, *states)

    assert not await upkeep.forget_secrets(NOW + DAY)
    assert await filled(database) == [waiting.id, another.id, half.id, captured.id, late.id]

    await database.write(told, half, State.SENT, State.FAILED)
    assert not await upkeep.forget_secrets(NOW + DAY)
    assert await filled(database) == [waiting.id, another.id, captured.id, late.id]

    assert not await upkeep.forget_secrets(NOW + DAY + 1)
    assert await filled(database) == [another.id, late.id], "the token in it is good no more"
    assert not await upkeep.forget_secrets(NOW + DAY + HOUR)
    assert await filled(database) == [another.id, late.id]
    assert not await upkeep.forget_secrets(NOW + DAY + HOUR + 1)
    assert await filled(database) == [another.id]
    kept = await database.read(store.page, [HOUSE], None, None, 10)
    assert {one.id for one in kept} == {one.id for one in orders} - {another.id}, "that they were is kept"


async def test_many_are_forgotten_in_steps(database: Database) -> None:
    upkeep = MailUpkeep(database, house=HOUSE, secrets_last=DAY)
    await database.write(enqueue_many, [order(number, NOW) for number in range(PAGE + 1)])

    assert await upkeep.forget_secrets(NOW + 2 * DAY)
    assert len(await filled(database)) == 1
    assert not await upkeep.forget_secrets(NOW + 2 * DAY)
    assert await filled(database) == []
