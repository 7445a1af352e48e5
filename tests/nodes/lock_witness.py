"""A witness inside the server's database: triggers that write down every change of locks and of their lines.

They run in the transactions of the server itself, so that they see what was committed, all of it, in its order and on
the server's own time; what a kill undoes, it undoes here as well.
"""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg

from tests.nodes.lock_history import Change, Kept, Stood

_COLUMNS = "batch, at, kind, name, number, token, one, two, three, gone"
_TABLE = """
    CREATE TABLE witness (
        seq {identity}, batch BIGINT, at BIGINT, kind TEXT, name TEXT, number BIGINT, token TEXT, one BIGINT,
        two BIGINT, three BIGINT, gone BIGINT
    )
"""
_WATCHED = {
    "leases": ("fence", "token", "expires_at", "delay", "NULL"),
    "lease_tickets": ("number", "token", "until", "alive_until", "granted"),
}


def call(url: str) -> None:
    """From now on it looks."""
    statements = _for_sqlite() if url.startswith("sqlite") else _for_postgres()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(_path(url), timeout=10, isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def heard(url: str) -> list[Change]:
    """What it has seen."""
    query = f"SELECT {_COLUMNS} FROM witness ORDER BY seq"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(_path(url), timeout=10)) as database:
            return [_change(*row) for row in database.execute(query)]
    with psycopg.connect(url) as connection:
        return [_change(*row) for row in connection.execute(query)]


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _change(batch: int, at: int, kind: str, name: str, number: int, token: str, *rest: Any) -> Change:
    one, two, three, gone = rest
    if kind == "leases":
        return Kept(batch, at, name, number, token, one, two, bool(gone))
    return Stood(batch, at, name, number, token, one, two, three, bool(gone))


def _insert(table: str, row: str, gone: int) -> str:
    columns = ", ".join(column if column == "NULL" else f"{row}.{column}" for column in _WATCHED[table])
    return (
        f"INSERT INTO witness ({_COLUMNS}) SELECT fence, at, '{table}', {row}.name, {columns}, {gone}"
        f" FROM lease_state WHERE {row}.family = 'locks';"
    )


def _for_sqlite() -> list[str]:
    statements = [_TABLE.format(identity="INTEGER PRIMARY KEY AUTOINCREMENT")]
    for table in _WATCHED:
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            says = _insert(table, row, int(row == "OLD"))
            statements.append(f"CREATE TRIGGER w_{table}_{event} AFTER {event} ON {table} BEGIN {says} END")
    return statements


def _for_postgres() -> list[str]:
    statements = [_TABLE.format(identity="BIGSERIAL PRIMARY KEY")]
    for table in _WATCHED:
        statements += [
            f"""
            CREATE FUNCTION witness_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'DELETE' THEN {_insert(table, "OLD", 1)} ELSE {_insert(table, "NEW", 0)} END IF;
                RETURN NULL;
            END $$
            """,
            f"CREATE TRIGGER w AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION witness_{table}()",
        ]
    return statements
