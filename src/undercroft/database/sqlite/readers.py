"""The threads that read, each over a connection of its own, which can't write."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw

from undercroft.database.interface import R, Transaction
from undercroft.database.sqlite.connection import connect, limit_statements, translated_errors
from undercroft.database.sqlite.transaction import SqliteTransaction


class Readers:
    def __init__(self, path: Path, threads: int, name: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(threads, name)
        self._own = threading.local()
        self._connections: list[apsw.Connection] = []

    async def read(self, query: Callable[[Transaction], R]) -> R:
        return await self._loop.run_in_executor(self._threads, self._read, query)

    def close(self) -> None:
        """Waits for what is being read."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def _read(self, query: Callable[[Transaction], R]) -> R:
        with translated_errors(self._path):
            return _in_one_transaction(self._own_connection(), query)

    def _own_connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cache_size = -8192")
            limit_statements(connection)
            self._own.connection = connection
            self._connections.append(connection)
        return connection


def _in_one_transaction(connection: apsw.Connection, query: Callable[[Transaction], R]) -> R:
    """All statements see the database as it was at the first."""
    connection.execute("BEGIN")
    try:
        return query(SqliteTransaction(connection))
    finally:
        # SQLite gives it up by itself where the disk fails: that error is the one to tell
        if connection.in_transaction:
            connection.execute("ROLLBACK")
