"""How an engine goes about what a query asks for."""

from collections.abc import Callable
from typing import Any

from tests.database.engines import Engine


class _Planning:
    """A transaction that keeps the plan of each statement beside running it."""

    def __init__(self, tx: Any, explain: str) -> None:
        self._tx = tx
        self._explain = explain
        self.plan = ""

    def all(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        self.plan += "\n".join(str(line[-1]) for line in self._tx.all(f"{self._explain} {sql}", **parameters))
        rows: list[tuple[Any, ...]] = self._tx.all(sql, **parameters)
        return rows


def plan_of(engine: Engine, query: Callable[..., Any], *args: Any) -> str:
    with engine.transaction() as tx:
        planning = _Planning(tx, "EXPLAIN QUERY PLAN" if engine.is_sqlite else "EXPLAIN")
        query(planning, *args)
        return planning.plan
