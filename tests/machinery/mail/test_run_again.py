"""The answer to a commit was lost on the line, and the same orders are put in once more."""

import pytest

from tests.database.engines import Engine
from tests.machinery.mail.making import order
from undercroft.machinery.mail.actions import Order, enqueue_many

COUNTS = (
    "SELECT (SELECT COUNT(*) FROM mails), (SELECT COUNT(*) FROM mail_contents),"
    " (SELECT COUNT(*) FROM mail_recipients), (SELECT COUNT(*) FROM deliveries), (SELECT COUNT(*) FROM mail_keys)"
)


@pytest.mark.parametrize("key", [None, "k"])
def test_a_mail_that_is_there_by_its_id_is_enqueued(engine: Engine, key: str | None) -> None:
    orders = [order(to="ann@example.com, bob@example.com", key=key), order()]
    first = _enqueue(engine, orders)
    before = engine.rows(COUNTS)
    assert before == [(2, 2, 3, 3, int(key is not None))]
    assert _enqueue(engine, orders) == first
    assert engine.rows(COUNTS) == before


def test_others_of_the_same_call_go_in(engine: Engine) -> None:
    there, new = order(), order()
    _enqueue(engine, [there])
    _enqueue(engine, [there, new])
    assert engine.rows(COUNTS) == [(2, 2, 2, 2, 0)]


def _enqueue(engine: Engine, orders: list[Order]) -> object:
    with engine.transaction() as tx:
        return enqueue_many(tx, orders)
