"""What only PostgreSQL does: go away and come back, refuse a transaction for others' sake, be shared."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from tests.database.conftest import THINGS
from tests.services.postgres import Postgres
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction, open_database
from undercroft.database.postgres import engine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """With rows a and b, and little patience."""
    monkeypatch.setattr(engine, "PATIENCE", 1.0)
    opened = await open_database(postgres_url, [THINGS], lambda: 0)
    await opened.write(lambda tx: tx.run("INSERT INTO things (name, size) VALUES ('a', 0), ('b', 0)"))
    yield opened
    await opened.close()


def add(tx: Transaction, name: str, more: int = 1) -> None:
    tx.run("UPDATE things SET size = size + :more WHERE name = :name", name=name, more=more)
    tx.tell("things", [name])


def sizes(tx: Transaction) -> dict[str, int]:
    return dict(tx.all("SELECT name, size FROM things"))  # type: ignore[arg-type]


async def test_while_it_is_away_callers_are_refused_and_served_when_it_is_back(
    database: Database, postgres: Postgres
) -> None:
    await database.write(add, "a")
    postgres.stop()

    began = time.monotonic()
    results = await asyncio.gather(
        *(database.write(add, "b") for _ in range(3)), database.read(sizes), return_exceptions=True
    )

    assert time.monotonic() - began < 5
    for result in results:
        assert isinstance(result, Refusal) and result.kind is Kind.UNAVAILABLE and result.retry_after
        assert "not reachable" in result.message

    postgres.start()
    await database.write(add, "a")
    assert await database.read(sizes) == {"a": 2, "b": 0}


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_is_under_way_when_it_restarts_is_done_once(
    database: Database, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 20.0)
    in_the_middle, go_on = threading.Event(), threading.Event()
    heard: list[str] = []
    database.listen("things", heard.extend)

    def add_slowly(tx: Transaction) -> None:
        add(tx, "a")
        in_the_middle.set()
        go_on.wait(20)
        add(tx, "b")

    writing = asyncio.ensure_future(database.write(add_slowly))
    await asyncio.to_thread(in_the_middle.wait, 10)
    getattr(postgres, end)()
    postgres.start()
    go_on.set()
    await writing

    assert await database.read(sizes) == {"a": 1, "b": 1}
    assert heard == ["a", "b"]


async def test_a_lost_connection_is_replaced_and_the_action_run_again(database: Database) -> None:
    runs: list[int] = []

    def lose_it_once(tx: Transaction) -> None:
        add(tx, "a")
        runs.append(1)
        if len(runs) == 1:
            tx.one("SELECT pg_terminate_backend(pg_backend_pid())")

    await database.write(lose_it_once)

    assert len(runs) == 2
    assert await database.read(sizes) == {"a": 1, "b": 0}


async def test_a_deadlock_is_run_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 20.0)
    both_have_one = threading.Barrier(2)
    runs: list[str] = []

    def add_to(tx: Transaction, first: str, second: str) -> None:
        runs.append(first)
        add(tx, first)
        if len(runs) <= 2:
            both_have_one.wait(10)
        add(tx, second)

    await asyncio.gather(database.write(add_to, "a", "b"), database.write(add_to, "b", "a"))

    assert len(runs) == 3, "one was chosen as the victim"
    assert await database.read(sizes) == {"a": 2, "b": 2}


async def test_a_serialization_failure_is_run_again(database: Database) -> None:
    both_have_read = threading.Barrier(2)
    runs: list[str] = []

    def add_serially(tx: Transaction) -> None:
        runs.append("")
        tx.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        tx.one("SELECT size FROM things WHERE name = 'a'")
        if len(runs) <= 2:
            both_have_read.wait(10)
        add(tx, "a")

    await asyncio.gather(database.write(add_serially), database.write(add_serially))

    assert len(runs) == 3
    assert (await database.read(sizes))["a"] == 2


async def test_who_loses_again_and_again_is_told_that_it_is_busy_not_gone(database: Database) -> None:
    def always_fail(tx: Transaction) -> None:
        tx.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with pytest.raises(Refusal, match="busy"):
        await database.write(always_fail)


async def test_a_row_that_is_held_too_long_is_refused_and_not_tried_again(
    database: Database, postgres_url: str
) -> None:
    runs: list[str] = []

    def add_impatiently(tx: Transaction) -> None:
        runs.append("")
        tx.run("SET LOCAL lock_timeout = 50")
        add(tx, "a")

    with psycopg.connect(postgres_url) as holding:
        holding.execute("UPDATE things SET size = 9 WHERE name = 'a'")
        with pytest.raises(Refusal, match="busy") as refused:
            await database.write(add_impatiently)
        holding.rollback()

    assert refused.value.kind is Kind.UNAVAILABLE
    assert len(runs) == 1


async def test_a_statement_that_takes_too_long_is_refused_and_not_tried_again(database: Database) -> None:
    runs: list[str] = []

    def take_long(tx: Transaction) -> None:
        runs.append("")
        tx.run("SET LOCAL statement_timeout = 50")
        tx.one("SELECT pg_sleep(20)")

    with pytest.raises(Refusal, match="gave this up"):
        await database.read(take_long)

    assert len(runs) == 1


async def test_faults_of_ours_are_not_taken_for_the_databases(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await database.read(lambda tx: tx.all("SELECT * FROM nowhere"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        await database.write(lambda tx: tx.run("INSERT INTO things (name) VALUES ('a')"))


async def test_what_two_put_in_at_once_the_second_finds_there(postgres_url: str, database: Database) -> None:
    looks: list[bool] = []

    def put_in_once(tx: Transaction) -> str:
        found = tx.one("SELECT 1 FROM things WHERE name = 'new'") is not None
        looks.append(found)
        if not found:
            if len(looks) == 1:  # another comes between our look and our writing
                with psycopg.connect(postgres_url) as other:
                    other.execute("INSERT INTO things (name) VALUES ('new')")
            tx.run("INSERT INTO things (name) VALUES ('new')")
        return "there already" if found else "put in"

    assert await database.write(put_in_once) == "there already"
    assert looks == [False, True]


async def test_a_wrong_address_is_refused_with_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.3)

    with pytest.raises(Refusal, match="check that it runs and that --database is right"):
        await open_database("postgresql://nobody@127.0.0.1:9/nothing", [THINGS], lambda: 0)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("postgres")]


async def test_a_batch_whose_connection_is_lost_is_run_again_whole(database: Database) -> None:
    runs: list[int] = []

    def put_many(tx: Transaction, wanted: list[str]) -> list[str | Refusal]:
        runs.append(len(wanted))
        tx.each("INSERT INTO things (name) SELECT name FROM {rows}", "name TEXT", [(name,) for name in wanted])
        if len(runs) == 1:
            tx.one("SELECT pg_terminate_backend(pg_backend_pid())")
        return list(wanted)

    names = [f"n{number}" for number in range(8)]
    assert await asyncio.gather(*(database.batch(put_many, name) for name in names)) == names
    assert runs == [8, 8]


async def test_what_a_statement_can_never_do_is_told_at_once_and_not_as_an_outage(database: Database) -> None:
    def too_long_for_the_index(tx: Transaction) -> None:
        tx.run("CREATE TABLE long (name TEXT PRIMARY KEY)")
        tx.run("INSERT INTO long SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n")

    for action in (too_long_for_the_index, lambda tx: tx.run("UPDATE things SET size = 1 / 0")):
        tries: list[int] = []

        def counted(tx: Transaction, action: Callable[[Transaction], object] = action) -> None:
            tries.append(1)  # noqa: B023 - called within this turn
            action(tx)

        with pytest.raises(psycopg.Error):
            await database.write(counted)
        assert len(tries) == 1
