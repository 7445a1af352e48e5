"""Transactions on either engine, one after the other, without the asynchronous house around them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg

from undercroft.app.assembly import all_migrations
from undercroft.database.migrate import migrate, migrations_in
from undercroft.database.postgres import PostgresTransaction
from undercroft.database.sqlite import SqliteTransaction
from undercroft.database.sqlite.connection import connect


class Engine:
    """One connection. `transaction` commits at its end, unless it ends by an exception."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite:///")
        if self.is_sqlite:
            self.connection: Any = connect(Path(url.removeprefix("sqlite:///")))
        else:
            self.connection = psycopg.connect(url, autocommit=True)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        self.connection.execute("BEGIN")
        try:
            yield self._begun()
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def migrate(self) -> None:
        own = [] if self.is_sqlite else migrations_in("undercroft.database.postgres")
        with self.transaction() as tx:
            migrate(tx, [*own, *all_migrations()], 0)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return found

    def close(self) -> None:
        if not self.is_sqlite:
            self.connection.close()
            return
        try:
            self.connection.close()
        except apsw.ConnectionClosedError:
            return

    def _begun(self) -> Any:
        return SqliteTransaction(self.connection) if self.is_sqlite else PostgresTransaction(self.connection)


def furnished(url: str) -> str:
    """Gives this empty database the house's tables."""
    engine = Engine(url)
    engine.migrate()
    engine.close()
    return url
