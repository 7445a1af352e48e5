"""Connections to the file, and SQLite's errors as refusals."""

import time
from pathlib import Path

import apsw

from undercroft.base.refusals import Refusal, unavailable
from undercroft.database.interface import LONGEST_STATEMENT, TOOK_TOO_LONG

# SQLite asks so seldom, in steps of its machine, whether to go on: a few ms, so that asking costs nothing.
_STEPS = 100_000

_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
)


def connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), statementcachesize=500)
    connection.set_busy_timeout(5_000)
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def limit_statements(connection: apsw.Connection) -> None:
    """Each statement of this connection is given up when it takes longer than LONGEST_STATEMENT."""
    deadline = float("inf")

    def begin(_cursor: apsw.Cursor, _sql: str, _values: object) -> bool:
        nonlocal deadline
        deadline = time.monotonic() + LONGEST_STATEMENT
        return True

    connection.exec_trace = begin
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)


def forget_statistics(path: Path) -> None:
    """Without any, SQLite takes tables for large and indexes for selective, which is what our statements count on.

    It never counts anew by itself: figures of the day when the table held ten rows would have it walk through a
    million ever after (measured: 17 ms per claim in 100,000 rows, 63 s to move 500).
    """
    connection = connect(path)  # one of its own: what a connection has read of them it keeps
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 'sqlite_stat[0-9]'").fetchall():
        connection.execute(f"DROP TABLE {table}")
    connection.close()


def is_lasting(error: BaseException) -> bool:
    """Nobody can write until somebody does something about it. One that is locked is not of this kind."""
    lasting = apsw.FullError | apsw.IOError | apsw.ReadOnlyError | apsw.CorruptError | apsw.NotADBError
    return isinstance(error, lasting) or isinstance(error.__cause__, lasting)


class translated_errors:
    """SQLite's errors as refusals that say what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            translated = as_refusal(error, self._path)
            if translated is not error:
                raise translated from error


def as_refusal(error: Exception, path: Path) -> Exception:
    """UNAVAILABLE where it is the disk's or another program's fault; ours stay as they are."""
    if isinstance(error, Refusal) or not isinstance(error, apsw.Error | OSError):
        return error
    match error:
        case apsw.FullError():
            why = f"no space is left for the database ({path}); nothing was changed, make room and try again"
        case apsw.BusyError() | apsw.LockedError():
            why = f"the database ({path}) is locked by another program; nothing was changed, try again"
        case apsw.InterruptError():
            why = TOOK_TOO_LONG
        case apsw.CorruptError() | apsw.NotADBError():
            why = f"the database ({path}) is damaged: {error}; restore it from a backup"
        case apsw.IOError() | apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | OSError():
            why = f"the database ({path}) can't be read or written: {error}; nothing was changed"
        case _:
            return error
    return unavailable(why)
