"""Migrations: each once, in order, all or none, however many start at once."""

import asyncio
from pathlib import Path

import pytest

from tests.database.conftest import THINGS, Open
from tests.database.engines import all_migrations
from undercroft.app.assembly import ROOMS
from undercroft.base.refusals import Refusal
from undercroft.database import Migration, Transaction, migrations_in

pytestmark = pytest.mark.anyio

SECOND = Migration(
    "tests",
    2,
    "-- a note; with a semicolon\nALTER TABLE things ADD COLUMN more TEXT;\n\n"
    "INSERT INTO things (name) VALUES ('from 2')",
)
WRONG = Migration("tests", 3, "INSERT INTO things (name) VALUES ('from 3'); INSERT INTO nowhere VALUES (1)")


def applied(tx: Transaction) -> list[tuple[str, int, int]]:
    """But for the engine's own."""
    rows = tx.all("SELECT room, number, applied_at FROM migrations ORDER BY room, number")
    return [row for row in rows if not row[0].startswith("database")]  # type: ignore[misc]


def names(tx: Transaction) -> list[str]:
    return [name for (name,) in tx.all("SELECT name FROM things")]


async def test_each_is_applied_once_and_later_ones_when_they_come(open_again: Open) -> None:
    await (await open_again([THINGS])).close()
    await (await open_again([THINGS, SECOND])).close()

    database = await open_again([THINGS, SECOND])

    assert await database.read(applied) == [("tests", 1, 1_000), ("tests", 2, 1_000)]
    assert await database.read(names) == ["from 2"]


async def test_rooms_count_for_themselves(open_again: Open) -> None:
    other = Migration("elsewhere", 1, "CREATE TABLE other (id {identity})")

    database = await open_again([THINGS, other])

    assert [row[:2] for row in await database.read(applied)] == [("elsewhere", 1), ("tests", 1)]


async def test_half_a_migration_never_stands(open_again: Open) -> None:
    await (await open_again([THINGS])).close()

    with pytest.raises(Exception, match="nowhere"):
        await open_again([THINGS, SECOND, WRONG])

    database = await open_again([THINGS])
    assert await database.read(names) == []
    assert len(await database.read(applied)) == 1


async def test_several_that_start_at_once_apply_each_once(open_again: Open) -> None:
    opened = await asyncio.gather(*(open_again([THINGS, SECOND], 2) for _ in range(4)))

    for database in opened:
        assert len(await database.read(applied)) == 2
        assert await database.read(names) == ["from 2"]


async def test_the_house_has_tables_on_either_engine_and_again(open_again: Open) -> None:
    await (await open_again(all_migrations())).close()

    database = await open_again(all_migrations())

    for table in ("deliveries", "attempts", "targets", "queues", "nodes", "installation", "tokens", "users"):
        assert await database.read(lambda tx, table=table: tx.all(f"SELECT * FROM {table}")) == []


@pytest.mark.parametrize("room", [*ROOMS, "undercroft.database.postgres"])
def test_files_are_numbered_from_one_without_gap(room: str) -> None:
    found = migrations_in(room)

    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert all(migration.room == room.removeprefix("undercroft.") for migration in found)


async def test_an_unopenable_database_is_refused_with_what_to_look_at(tmp_path: Path, anyio_backend: str) -> None:
    from undercroft.database import open_database

    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Refusal, match="can't be read or written"):
        await open_database(f"sqlite:///{tmp_path}/file/under.db", [THINGS], lambda: 0)

    (tmp_path / "noise.db").write_bytes(b"this is not a database, it only looks like a file" * 100)
    with pytest.raises(Refusal, match="damaged"):
        await open_database(f"sqlite:///{tmp_path}/noise.db", [THINGS], lambda: 0)

    with pytest.raises(ValueError, match="sqlite:///"):
        await open_database("mysql://root@localhost/x", [THINGS], lambda: 0)
