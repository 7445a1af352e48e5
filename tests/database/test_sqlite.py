"""What only SQLite does."""

from pathlib import Path

import apsw
import pytest

from tests.database.conftest import THINGS
from undercroft.database import open_database

pytestmark = pytest.mark.anyio


async def test_keeps_no_statistics_which_would_be_of_a_day_when_it_held_little(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
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
