"""One interface, two engines. `open_database(url)` is the door."""

from undercroft.database.interface import Database, Transaction
from undercroft.database.migrate import Migration, migrations_in
from undercroft.database.opening import open_database

__all__ = ["Database", "Migration", "Transaction", "migrations_in", "open_database"]
