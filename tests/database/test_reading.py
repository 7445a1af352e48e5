"""Reading sees one moment, and has limits: no query lasts for ever, and none keeps the house's own waiting."""

import asyncio
import threading

import pytest

from tests.database.conftest import Open
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.database.sqlite import connection

pytestmark = pytest.mark.anyio

ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
SELECT count(*) FROM numbers
"""


async def test_a_query_that_takes_too_long_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_STATEMENT", 0.05)

    def endless(tx: Transaction) -> object:
        if database.engine == "postgres":
            tx.run("SET LOCAL statement_timeout = 50")
        return tx.one(ENDLESS)

    for read in (database.read, database.read_apart):
        with pytest.raises(Refusal, match="nothing was changed, ask for less at once") as refused:
            await asyncio.wait_for(read(endless), 20)
        assert refused.value.kind is Kind.UNAVAILABLE

    assert await database.read(lambda tx: tx.one("SELECT 1")) == (1,)


async def test_each_statement_has_its_own_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was opened long ago is not given up for that."""
    monkeypatch.setattr(connection, "LONGEST_STATEMENT", 2.0)
    pause = threading.Event()

    def slow(tx: Transaction) -> list[object]:
        found = []
        for _ in range(4):
            found.append(tx.one(ENDLESS.replace("1000000000", "20000")))
            pause.wait(0.8)
        return found

    assert await database.read(slow) == [(20_000,)] * 4


@pytest.mark.parametrize("apart", [False, True])
async def test_all_statements_of_a_query_see_the_same_moment(database: Database, apart: bool) -> None:
    has_begun, go_on = threading.Event(), threading.Event()

    def count_twice(tx: Transaction) -> list[object]:
        first = tx.one("SELECT count(*) FROM things")
        has_begun.set()
        go_on.wait(20)
        return [first, tx.one("SELECT count(*) FROM things")]

    reading = asyncio.ensure_future((database.read_apart if apart else database.read)(count_twice))
    await asyncio.to_thread(has_begun.wait, 20)
    await database.write(lambda tx: tx.run("INSERT INTO things (name) VALUES ('meanwhile')"))
    go_on.set()

    assert await reading == [(0,), (0,)]
    assert await database.read(lambda tx: tx.one("SELECT count(*) FROM things")) == (1,)


async def test_a_transaction_that_sqlite_gave_up_is_told_of_by_its_own_error(open_again: Open) -> None:
    """As it does where the disk fails."""
    database = await open_again()

    def given_up(tx: Transaction) -> None:
        tx.run("ROLLBACK")
        raise LookupError("the disk")

    with pytest.raises(LookupError, match="the disk"):
        await database.read(given_up)


async def test_a_query_that_breaks_leaves_its_moment(database: Database) -> None:
    """SQLite's reader is the same one for the next query, if it is free."""

    def broken(tx: Transaction) -> None:
        tx.one("SELECT count(*) FROM things")
        raise LookupError

    for _ in range(9):
        with pytest.raises(LookupError):
            await database.read(broken)
    await database.write(lambda tx: tx.run("INSERT INTO things (name) VALUES ('later')"))

    assert await database.read(lambda tx: tx.one("SELECT count(*) FROM things")) == (1,)


@pytest.mark.parametrize("pool", [3, 8])
async def test_however_much_is_read_the_house_reads_and_writes(open_again: Open, pool: int) -> None:
    database = await open_again(pool=pool)
    go_on = threading.Event()
    reading = [asyncio.ensure_future(database.read(lambda _tx: go_on.wait(20))) for _ in range(30)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(20):
            assert await database.read_apart(lambda tx: tx.one("SELECT 1")) == (1,)
            await database.write(lambda tx: tx.run("INSERT INTO things (name) VALUES ('one')"))
            assert await database.read_apart(lambda tx: tx.one("SELECT name FROM things")) == ("one",)
    finally:
        go_on.set()
    assert all(await asyncio.gather(*reading))
