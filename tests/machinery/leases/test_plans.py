"""Rows are found by an index that leads to them, however many there are."""

from collections.abc import Callable, Iterator
from typing import Any

import apsw
import psycopg
import pytest

from tests.database.engines import Engine
from undercroft.machinery.leases import line_store, store
from undercroft.machinery.leases.model import Lease, Noted, Place, Span, Ticket

ROWS = 20_000
# What is looked for in each work; more are read by chance, but not a thousandth more.
SOME = range(0, 310, 10)
_PLACES = [Place("locks", "shop", f"name {number}") for number in SOME]
_LEASE = Lease(1, "token", None, 1, None, 0, 0, 0)

WORKS: dict[str, Callable[[Any], object]] = {
    "leases": lambda tx: store.leases_at(tx, _PLACES),
    "put": lambda tx: store.put_leases(tx, dict.fromkeys(_PLACES, _LEASE)),
    "drop": lambda tx: store.drop_leases(tx, _PLACES),
    "line": lambda tx: line_store.line(tx, _PLACES[0], 5, 3),
    "length of a line": lambda tx: line_store.in_line(tx, _PLACES[0], 5),
    "tickets": lambda tx: line_store.tickets_of(tx, [f"waiter {number}" for number in SOME]),
    "drop tickets": lambda tx: line_store.drop_tickets(tx, list(SOME)),
    "put down": lambda tx: line_store.put_down_for(tx, "other node"),
    "keep alive": lambda tx: line_store.keep_alive(tx, "other node", 5, 10),
    "keys": lambda tx: line_store.noted(tx, [("locks", "shop", f"key {number}") for number in SOME]),
    "note": lambda tx: line_store.note(tx, {("locks", "shop", f"key {n}"): Noted("c", "w", 1, 1) for n in SOME}, 9),
    "forget keys noted": lambda tx: line_store.note(tx, {("locks", "shop", f"key {n}"): None for n in SOME}, 9),
    "over and awaited": lambda tx: store.over_and_awaited(tx, 5, 500),
    "forget over": lambda tx: store.forget_over(tx, 5, 500),
    "forget keys": lambda tx: line_store.forget_keys(tx, 5, 500),
    "list": lambda tx: store.held_in(tx, "locks", "shop", "", "name 5", 5, 101),
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/undercroft.db"
    if request.param == "postgres":
        cluster = request.getfixturevalue("postgres_cluster")
        cluster.start()
        url = cluster.create_database()
    engine = Engine(url)
    engine.migrate()
    places = [Place("locks", "shop", f"name {number}") for number in range(ROWS)]
    ends = {number: None if number % 2 else 10**13 + number for number in range(ROWS)}
    with engine.transaction() as tx:
        store.put_leases(tx, {place: _LEASE._replace(expires_at=ends[n]) for n, place in enumerate(places)})
        line_store.put_tickets(
            tx,
            [
                Ticket(n, place, f"waiter {n}", "a node", "t", None, Span(), 0, 0, 10**13, 10**13, None, None)
                for n, place in enumerate(places)
            ],
        )
        line_store.note(tx, {("locks", "shop", f"key {n}"): Noted("c", "w", 1, 1) for n in range(ROWS)}, 10**13)
    if request.param == "postgres":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
    yield engine
    engine.close()


@pytest.mark.parametrize("work", WORKS)
def test_few_rows_are_read(full: Engine, work: str) -> None:
    steps = 0

    def note(event: dict[str, Any]) -> None:
        nonlocal steps
        steps += event["stmt_status"]["SQLITE_STMTSTATUS_FULLSCAN_STEP"]

    with pytest.raises(LookupError), full.transaction() as tx:
        if full.is_sqlite:
            full.connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
        WORKS[work](tx)
        if full.is_sqlite:
            full.connection.trace_v2(0, None)
        else:
            [(steps,)] = tx.all(
                "SELECT COALESCE(SUM(seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relname LIKE 'lease%'"
            )
        raise LookupError  # what is done is undone
    assert steps < ROWS / 20


def test_walking_past_all_rows_is_noticed(full: Engine) -> None:
    WORKS["walk"] = lambda tx: tx.all("SELECT COUNT(*) FROM leases WHERE owner = 'x'")
    try:
        with pytest.raises(AssertionError):
            test_few_rows_are_read(full, "walk")
    finally:
        del WORKS["walk"]
