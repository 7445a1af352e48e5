"""The engine for many nodes: PostgreSQL, which they share."""

from undercroft.database.postgres.engine import PATIENCE, PostgresDatabase
from undercroft.database.postgres.transaction import PostgresTransaction, dialect

__all__ = ["PATIENCE", "PostgresDatabase", "PostgresTransaction", "dialect"]
