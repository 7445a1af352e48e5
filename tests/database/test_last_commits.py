"""The connection to PostgreSQL breaks between a COMMIT and its answer: what is durable is not done once more."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from tests.database.conftest import THINGS
from tests.nodes.relay import Relay
from tests.services.waiting import wait_until
from undercroft.base.refusals import Refusal, conflict
from undercroft.database import Database, Transaction, open_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[Relay]:
    async with Relay.to(postgres_url) as between:
        yield between


@pytest.fixture
async def database(relay: Relay) -> AsyncIterator[Database]:
    """With a row a of size 0."""
    opened = await open_database(relay.url, [THINGS], lambda: 0)
    await opened.write(lambda tx: tx.run("INSERT INTO things (name, size) VALUES ('a', 0)"))
    yield opened
    await opened.close()


def add(tx: Transaction, name: str) -> int:
    [(size,)] = tx.all("UPDATE things SET size = size + 1 WHERE name = :name RETURNING size", name=name)
    tx.tell("things", [name])
    return int(size)


def add_all(tx: Transaction, names: list[str]) -> list[int | Refusal]:
    return [add(tx, name) for name in names]


async def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return await database.read(lambda tx: tx.all(sql))


@pytest.mark.parametrize("by", ["write_once", "batch"])
async def test_what_is_durable_is_not_done_again(database: Database, relay: Relay, by: str) -> None:
    heard: list[str] = []
    database.listen("things", heard.extend)
    relay.swallow_commit_after(b"UPDATE things")

    answers = [
        await (database.write_once(add, "a") if by == "write_once" else database.batch(add_all, "a")) for _ in range(2)
    ]

    assert (relay.swallowed, answers, heard) == (1, [1, 2], ["a", "a"])


async def test_what_is_free_to_be_done_again_is(database: Database, relay: Relay) -> None:
    """Else the relay loses nothing, and the tests here hold for any database."""
    relay.swallow_commit_after(b"UPDATE things")

    assert (await database.write(add, "a"), relay.swallowed) == (2, 1)


async def test_what_did_not_get_to_its_commit_is_done(database: Database, relay: Relay, postgres_url: str) -> None:
    tried: list[int] = []

    def add_and_be_cut_off(tx: Transaction) -> int:
        size = add(tx, "a")
        if not tried:
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                              " WHERE datname = current_database() AND state = 'idle in transaction'")  # fmt: skip
        tried.append(size)
        return add(tx, "a")

    assert await database.write_once(add_and_be_cut_off) == 2
    assert tried == [1, 1]


async def test_one_whose_commit_is_still_under_way_is_waited_for(
    database: Database, relay: Relay, postgres_url: str
) -> None:
    """Its connection is cut, and the server has not noticed yet: a row that it waits for holds its COMMIT up."""
    with psycopg.connect(postgres_url) as other:
        other.execute("CREATE TABLE late (id BIGINT PRIMARY KEY)")
        other.execute("CREATE FUNCTION insert_late() RETURNS trigger LANGUAGE plpgsql AS"
                      " 'BEGIN INSERT INTO late VALUES (1); RETURN NULL; END'")  # fmt: skip
        other.execute("CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON things DEFERRABLE INITIALLY DEFERRED"
                      " FOR EACH ROW EXECUTE FUNCTION insert_late()")  # fmt: skip
        other.commit()
        other.execute("INSERT INTO late VALUES (1)")
        relay.cut_at_commit_after(b"UPDATE things")
        writing = asyncio.ensure_future(database.write_once(add, "a"))
        both = (
            "SELECT COUNT(*) = 2 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await asyncio.to_thread(wait_until, lambda: _says(postgres_url, both), "the COMMIT, and a try behind it")
        other.rollback()

    assert await writing == 1
    assert await rows(database, "SELECT size FROM things") == [(1,)]


def _says(url: str, sql: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchone() == (True,)


async def test_there_are_as_many_slots_as_calls_at_once(database: Database) -> None:
    def refuse(tx: Transaction) -> None:
        add(tx, "a")
        raise conflict("no", "no")

    for _ in range(5):
        await database.write_once(add, "a")
        with pytest.raises(Refusal):
            await database.write_once(refuse)
    assert await rows(database, "SELECT COUNT(*) FROM last_commits") == [(1,)]

    meet = threading.Barrier(2, timeout=20)
    await asyncio.gather(*(database.write_once(lambda _tx: meet.wait()) for _ in range(2)))
    assert await rows(database, "SELECT COUNT(*) FROM last_commits") == [(2,)]


async def test_slots_of_long_ago_are_forgotten_when_a_node_starts(database: Database, postgres_url: str) -> None:
    await database.write_once(add, "a")
    await database.write(lambda tx: tx.run("UPDATE last_commits SET at = now() - interval '25 hours'"))

    await (await open_database(postgres_url, [THINGS], lambda: 0)).close()

    assert await rows(database, "SELECT COUNT(*) FROM last_commits") == [(0,)]
    assert await database.write_once(add, "a") == 2
