"""What is forgotten in time is found without a look at all the rest."""

from collections.abc import Callable

import apsw
import pytest

from tests.database.engines import all_migrations
from undercroft.database.migrate import migrate
from undercroft.database.sqlite.transaction import SqliteTransaction
from undercroft.machinery.identity import logins, resets, store


@pytest.mark.parametrize(
    ("forget", "index"),
    [
        (store.delete_expired, "tokens_by_expiry"),
        (logins.forget_old_places, "known_places_by_age"),
        (resets.forget_old_resets, "resets_by_end"),
    ],
)
def test_they_are_found_by_an_index(forget: Callable[..., int], index: str) -> None:
    connection = apsw.Connection(":memory:")
    tx = SqliteTransaction(connection)
    migrate(tx, all_migrations(), 0)
    asked: list[str] = []
    connection.exec_trace = lambda _cursor, sql, _values: asked.append(sql) or True

    assert forget(tx, 5, 500) == 0

    connection.exec_trace = None
    [statement] = asked
    plan = [
        line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", {"now": 5, "before": 5, "limit": 5})
    ]
    assert any(index in line for line in plan)
    assert not any(line.startswith("SCAN") and index not in line for line in plan)
