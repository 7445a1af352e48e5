"""What only SQLite does."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from tests.database.conftest import THINGS
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Migration, Transaction, open_database

pytestmark = pytest.mark.anyio

LOCKING = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def put(tx: Transaction, name: str, length: int = 1) -> None:
    tx.run("INSERT INTO things (name) VALUES (:name)", name=name * length)


def names(tx: Transaction) -> list[str]:
    return [name[:1] for (name,) in tx.all("SELECT name FROM things ORDER BY name")]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the database."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url, [THINGS], lambda: 0)
    yield opened
    await opened.close()


async def test_when_no_space_is_left_it_says_so_and_goes_on_when_there_is(database: Database) -> None:
    await database.write(put, "a")
    (pages,) = await database.write(lambda tx: tx.one("PRAGMA page_count") or ())
    await database.write(lambda tx: tx.all(f"PRAGMA max_page_count = {pages + 2}"))

    results = await asyncio.gather(
        database.write(put, "b"),
        database.write(put, "c", 1_000_000),
        database.write(put, "d"),
        return_exceptions=True,
    )

    assert isinstance(results[1], Refusal) and results[1].kind is Kind.UNAVAILABLE
    assert "no space is left" in results[1].message and results[1].retry_after
    stored = ["a"] + [name for name, result in zip("bcd", results, strict=True) if result is None]
    assert await database.read(names) == stored

    await database.write(lambda tx: tx.all("PRAGMA max_page_count = 1000000"))
    await database.write(put, "e", 1_000_000)
    assert await database.read(names) == [*stored, "e"]


async def test_when_another_program_holds_it_writers_are_refused_and_readers_are_not(
    database: Database, sqlite_url: str
) -> None:
    await database.write(put, "a")
    await database.write(lambda tx: tx.all("PRAGMA busy_timeout = 50"))

    with locked(path_of(sqlite_url)):
        with pytest.raises(Refusal, match="locked by another program") as refused:
            await database.write(put, "b")
        assert refused.value.kind is Kind.UNAVAILABLE
        assert await database.read(names) == ["a"]

    await database.write(put, "c")
    assert await database.read(names) == ["a", "c"]


async def test_when_it_may_only_be_read_it_says_so(database: Database) -> None:
    await database.write(put, "a")
    await database.write(lambda tx: tx.all("PRAGMA query_only = ON"))

    with pytest.raises(Refusal, match="can't be read or written"):
        await database.write(put, "b")

    assert await database.read(names) == ["a"]


async def test_a_query_writes_nothing(database: Database) -> None:
    with pytest.raises(Refusal, match="can't be read or written"):
        await database.read(put, "a")

    assert await database.read(names) == []


async def test_faults_of_ours_are_not_taken_for_the_databases(database: Database) -> None:
    with pytest.raises(apsw.SQLError, match="no such table"):
        await database.read(lambda tx: tx.all("SELECT * FROM nowhere"))
    with pytest.raises(apsw.ConstraintError):
        await database.write(lambda tx: tx.run("INSERT INTO things (id) VALUES (1)"))


async def test_an_opening_that_fails_leaves_nothing_running(sqlite_url: str) -> None:
    with pytest.raises(apsw.SQLError):
        await open_database(sqlite_url, [Migration("tests", 1, "not SQL at all")], lambda: 0)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sqlite")]


async def test_the_log_is_copied_into_the_file_while_it_grows_and_at_the_end(
    database: Database, sqlite_url: str
) -> None:
    path = path_of(sqlite_url)
    log = path.with_name(path.name + "-wal")

    sizes = [-1, 0]
    while sizes[-1] > sizes[-2]:  # until a write finds room at the log's beginning
        await database.write(put, f"{len(sizes):03}", 333_333)  # 2 MB, for the table and for its index
        sizes.append(log.stat().st_size)
        assert len(sizes) < 300, "the log only grows"

    await database.close()

    assert not log.exists() or log.stat().st_size == 0
    assert path.stat().st_size > (len(sizes) - 2) * 2_000_000


async def test_keeps_no_statistics_which_would_be_of_a_day_when_it_held_little(sqlite_url: str) -> None:
    path = path_of(sqlite_url)
    database = await open_database(sqlite_url, [THINGS], lambda: 0)
    await database.write(lambda tx: tx.run("INSERT INTO things (name) VALUES ('one')"))
    await database.read(lambda tx: tx.all("SELECT * FROM things WHERE name = 'one'"))
    await database.close()
    assert _statistics(path) == []

    connection = apsw.Connection(str(path))
    connection.execute("ANALYZE")
    connection.close()
    assert _statistics(path) != []

    await (await open_database(sqlite_url, [THINGS], lambda: 0)).close()

    assert _statistics(path) == []


def _statistics(path: Path) -> list[object]:
    connection = apsw.Connection(str(path))
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'").fetchall()
    connection.close()
    return tables
