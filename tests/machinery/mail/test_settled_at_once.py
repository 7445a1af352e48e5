"""Several mails in one transaction beside another's, on PostgreSQL: in one order, so that neither waits in a ring."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.database.engines import Engine
from tests.machinery.mail.making import NOW, order
from tests.services.waiting import wait_until
from undercroft.machinery.mail import keys, store
from undercroft.machinery.mail.actions import Order, enqueue_many
from undercroft.machinery.mail.keys import Key
from undercroft.machinery.mail.model import State
from undercroft.machinery.mail.store import Told


class Other(threading.Thread):
    """Another node: one transaction on a connection of its own; `error` is what it ended with."""

    def __init__(self, url: str, work: Callable[[Any], object]) -> None:
        super().__init__(daemon=True)
        self._engine = Engine(url)
        self._work = work
        self.pid = self._engine.connection.info.backend_pid
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            # As a plan for many rows goes: through the table as it lies there.
            for way in ("nestloop", "indexscan", "indexonlyscan", "bitmapscan"):
                self._engine.connection.execute(f"SET enable_{way} = off")
            with self._engine.transaction() as tx:
                self._work(tx)
        except psycopg.Error as error:
            self.error = error
        finally:
            self._engine.close()


@pytest.fixture
def one(postgres_url: str) -> Iterator[Engine]:
    engine = Engine(postgres_url)
    engine.migrate()
    yield engine
    engine.close()


def meet(
    one: Engine, first: Callable[[Any], object], then: Callable[[Any], object], both: Callable[[Any], object]
) -> None:
    """`one` does the first, another begins with both and waits for it, `one` does the rest."""
    other = Other(one.url, both)
    watch = Engine(one.url)
    try:
        with one.transaction() as tx:
            first(tx)
            other.start()
            blocked = f"SELECT cardinality(pg_blocking_pids({other.pid}))"
            wait_until(lambda: watch.rows(blocked) == [(1,)], "the other one to wait")
            then(tx)
        other.join(20)
    finally:
        watch.close()
    assert not other.is_alive() and other.error is None, other.error


def told(*mails: Order) -> Callable[[Any], object]:
    return lambda tx: store.note_told(tx, [Told(mail.id, 0, State.SENT, "250") for mail in mails], NOW)


def test_two_nodes_that_settle_the_same_mails(one: Engine) -> None:
    low, high = sorted((order(), order()), key=lambda mail: mail.id)
    for mail in (high, low):  # so that they lie in the table in another order than that of their ids
        with one.transaction() as tx:
            enqueue_many(tx, [mail])
    meet(one, told(low), told(high), told(high, low))
    assert one.rows("SELECT state FROM mails") == [(State.SENT,)] * 2


def test_two_nodes_that_take_the_same_keys(one: Engine) -> None:
    a, b = (Key("@admin", name, "digest", name) for name in "ab")
    meet(one, take(a), take(b), take(b, a))
    assert len(one.rows("SELECT key FROM mail_keys")) == 2


def take(*those: Key) -> Callable[[Any], object]:
    return lambda tx: keys.take(tx, list(those), NOW)


def test_two_nodes_that_send_for_the_same_new_namespaces(one: Engine) -> None:
    names = [f"n{number}" for number in range(8)]
    meet(one, send(names[0]), send(*names[1:]), send(*reversed(names)))
    assert len(one.rows("SELECT id FROM queues")) == len(one.rows("SELECT id FROM targets")) == len(names)


def send(*namespaces: str) -> Callable[[Any], object]:
    return lambda tx: enqueue_many(tx, [order(name) for name in namespaces])


def test_what_another_node_holds_is_forgotten_later(one: Engine) -> None:
    mails = [order(), order()]
    with one.transaction() as tx:
        enqueue_many(tx, mails)
        told(*mails)(tx)
    other = Engine(one.url)
    try:
        with one.transaction() as tx:
            told(mails[0])(tx)
            with other.transaction() as purging:
                assert store.forget(purging, "", "~", 10) == (1, None)
    finally:
        other.close()
    assert one.rows("SELECT id FROM mails") == [(mails[0].id,)]
