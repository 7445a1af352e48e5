"""From a database URL to an open database with every migration applied."""

from pathlib import Path

from undercroft.base.clock import Clock
from undercroft.database.interface import Database
from undercroft.database.migrate import Migration


async def open_database(url: str, migrations: list[Migration], clock: Clock, *, pool: int = 8) -> Database:
    """`sqlite:///path/to/file.db` or `postgresql://user:password@host/name`.

    Raises Refusal(UNAVAILABLE) when it can't be opened, ValueError for a URL of another kind.
    """
    if url.startswith("sqlite:///"):
        from undercroft.database.sqlite import SqliteDatabase

        return await SqliteDatabase.open(Path(url.removeprefix("sqlite:///")), migrations, clock)
    if url.startswith(("postgresql://", "postgres://")):
        from undercroft.database.postgres import PostgresDatabase

        return await PostgresDatabase.open(url, migrations, clock, pool)
    raise ValueError("a database URL begins with sqlite:/// or postgresql://")
