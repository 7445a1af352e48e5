"""SQLite, embedded."""

from undercroft.database.sqlite.engine import SqliteDatabase
from undercroft.database.sqlite.transaction import SqliteTransaction

__all__ = ["SqliteDatabase", "SqliteTransaction"]
