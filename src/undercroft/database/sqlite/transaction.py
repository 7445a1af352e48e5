"""Statements on one connection, and the house's SQL in SQLite's words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, count
from operator import itemgetter
from typing import Any

import apsw

from undercroft.database.interface import Row


class SqliteTransaction:
    """Statements on one connection; see `interface.Transaction`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.told: list[tuple[str, list[Any]]] = []

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        return self._connection.execute(dialect(sql), parameters).fetchall()

    def one(self, sql: str, **parameters: Any) -> Row | None:
        rows = self.all(sql, **parameters)
        return rows[0] if rows else None

    def each(self, sql: str, columns: str, rows: Sequence[Sequence[Any]], **parameters: Any) -> list[Row]:
        found: list[Row] = []
        start = 0
        for size in _pieces(len(rows), len(rows[0]) if rows else 0):
            values = [*parameters.values(), *chain.from_iterable(rows[start : start + size])]
            found += self._connection.execute(with_rows(sql, columns, size, tuple(parameters)), values).fetchall()
            start += size
        return found

    def put_in(self, table: str, columns: str, rows: Sequence[Sequence[Any]], giving: str) -> list[Row]:
        """Without RETURNING, each row of which is a turn of the interpreter that the event loop takes part in."""
        names = tuple(column.split()[0] for column in columns.split(", "))
        found: list[Row] = []
        start = 0
        for size in _pieces(len(rows), len(names)):
            piece = rows[start : start + size]
            self._connection.execute(_insertion(table, names, size), list(chain.from_iterable(piece))).fetchall()
            found += self._put_in(table, names, piece, giving)
            start += size
        return found

    def _put_in(self, table: str, names: tuple[str, ...], piece: Sequence[Sequence[Any]], giving: str) -> list[Row]:
        """What the insertion just made would have returned: nobody else writes, and ids only count up."""
        changes = self._connection.changes()
        if changes < len(piece):
            return self.all(f"SELECT {giving} FROM {table} ORDER BY id DESC LIMIT :changes", changes=changes)
        first = self._connection.last_insert_rowid() - changes + 1
        columns: list[Iterable[Any]] = [
            range(first, first + changes) if name == "id" else map(itemgetter(names.index(name)), piece)
            for name in giving.split(", ")
        ]
        return list(zip(*columns, strict=True))

    def run(self, sql: str, **parameters: Any) -> int:
        before = self._connection.total_changes()
        self._connection.execute(dialect(sql), parameters).fetchall()
        return self._connection.total_changes() - before

    def tell(self, topic: str, items: Sequence[Any]) -> None:
        if items:
            self.told.append((topic, list(items)))


@cache
def dialect(sql: str) -> str:
    """The house's SQL in SQLite's words."""
    sql = sql.replace("{identity}", "INTEGER PRIMARY KEY AUTOINCREMENT")
    # There is one writer.
    return sql.replace("{skip_locked}", "").replace("{locked}", "").replace("{kept}", "")


# Rows are bound in pieces of these sizes, so that a handful of prepared statements serves every number of rows; as many
# as clients often are at once go in one, for between two statements the event loop takes the interpreter.
# Bound values cost 2 µs a row where a JSON array that SQLite takes apart costs 11.
_SIZES = (512, 256, 128, 64, *range(32, 0, -1))
# apsw parses statements of more than 16 KiB anew each time; a bound value takes some 8 letters.
_MOST_VALUES = 2_000


def _pieces(count: int, width: int) -> Iterator[int]:
    for size in _SIZES:
        while count >= size and (size * width <= _MOST_VALUES or size == 1):
            yield size
            count -= size


@cache
def _insertion(table: str, names: tuple[str, ...], size: int) -> str:
    row = "(" + ", ".join("?" * len(names)) + ")"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * size)} ON CONFLICT DO NOTHING"


@cache
def with_rows(sql: str, columns: str, size: int, names: tuple[str, ...]) -> str:
    """The statement with numbered parameters: the named ones first, then the rows, value by value."""
    fields = [column.split()[0] for column in columns.split(", ")]
    renamed = ", ".join(f"column{number} AS {field}" for number, field in enumerate(fields, 1))
    numbers = count(len(names) + 1)
    values = ", ".join("(" + ", ".join(f"?{next(numbers)}" for _ in fields) + ")" for _ in range(size))
    sql = dialect(sql).replace("{rows}", f"(SELECT {renamed} FROM (VALUES {values})) AS r")
    return re.sub(r":(\w+)", lambda name: f"?{names.index(name[1]) + 1}", sql)
