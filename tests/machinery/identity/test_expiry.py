"""Expired tokens are forgotten without a look at all the others."""

import apsw

from tests.database.engines import all_migrations
from undercroft.database.migrate import migrate
from undercroft.database.sqlite.transaction import SqliteTransaction
from undercroft.machinery.identity import store


def test_they_are_found_by_an_index() -> None:
    connection = apsw.Connection(":memory:")
    tx = SqliteTransaction(connection)
    migrate(tx, all_migrations(), 0)
    asked: list[str] = []
    connection.exec_trace = lambda _cursor, sql, _values: asked.append(sql) or True

    assert store.delete_expired(tx, 5, 500) == 0

    connection.exec_trace = None
    [statement] = asked
    plan = [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", {"now": 5, "limit": 5})]
    assert any("tokens_by_expiry" in line for line in plan)
    assert not any(line.startswith("SCAN") for line in plan)
