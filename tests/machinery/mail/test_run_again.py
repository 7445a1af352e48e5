"""The answer to a commit was lost on the line, and the same orders are put in once more."""

import pytest

from tests.database.engines import Engine
from tests.machinery.mail.making import NOW, order
from undercroft.machinery.mail import suppressions
from undercroft.machinery.mail.actions import Order, enqueue_many
from undercroft.machinery.mail.model import State
from undercroft.machinery.mail.schedule import Terms

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


def test_what_is_captured_is_captured_once(engine: Engine) -> None:
    orders = [order(to="ann@example.com, bob@example.com")._replace(terms=Terms(captures=True))]
    first = _enqueue(engine, orders)
    assert engine.rows(COUNTS) == [(1, 1, 2, 0, 0)]
    assert _enqueue(engine, orders) == first
    assert engine.rows(COUNTS) == [(1, 1, 2, 0, 0)]
    assert engine.rows("SELECT state, settled_at FROM mail_recipients") == [(State.CAPTURED, NOW)] * 2


def test_of_those_on_the_list_each_is_there_once(engine: Engine) -> None:
    for _ in range(2):
        with engine.transaction() as tx:
            suppressions.put(tx, "@admin", ["b@example.com", "A@example.com", "a@example.com"], "bounced", NOW)
    assert engine.rows("SELECT address FROM mail_suppressions ORDER BY address") == [
        ("a@example.com",),
        ("b@example.com",),
    ]


def _enqueue(engine: Engine, orders: list[Order]) -> object:
    with engine.transaction() as tx:
        return enqueue_many(tx, orders)
