"""Migrations: numbered SQL files in a room's own folder, each applied once, at start, in order."""

from importlib.resources import files
from typing import NamedTuple

from undercroft.database.interface import Transaction


class Migration(NamedTuple):
    room: str
    number: int
    sql: str


def migrations_in(package: str) -> list[Migration]:
    """The files `NNN_what.sql` in the folder `migrations` of a package, by their numbers; none where it has no such."""
    room = package.partition(".")[2]
    folder = files(package) / "migrations"
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted(Migration(room, int(entry.name.split("_")[0]), entry.read_text()) for entry in found)


def migrate(tx: Transaction, migrations: list[Migration], now: int) -> int:
    """Apply what is missing; how many that were. One transaction, so that half a house never stands."""
    tx.run(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (room TEXT NOT NULL, number BIGINT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (room, number))"
    )
    applied = {(room, number) for room, number in tx.all("SELECT room, number FROM migrations")}
    missing = [migration for migration in migrations if (migration.room, migration.number) not in applied]
    for migration in missing:
        for statement in _statements(migration.sql):
            tx.run(statement)
        tx.run(
            "INSERT INTO migrations (room, number, applied_at) VALUES (:room, :number, :now)",
            room=migration.room,
            number=migration.number,
            now=now,
        )
    return len(missing)


def _statements(sql: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
