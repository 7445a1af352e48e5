"""What statements give and take, on either engine."""

from typing import Any

import pytest

from undercroft.database import Database, Transaction

pytestmark = pytest.mark.anyio


ODD = ["", "\n", "'", '"', "%", "%s", "%(name)s", ":name", "?1", "{rows}", "\\", "ä\u2028😀", "null", "\ufeff", "[]"]


async def test_values_come_back_as_they_were_given(database: Database) -> None:
    """One by one, many at once, in pieces of every size."""
    numbers = [0, -1, 2**31, 2**63 - 1, -(2**63), None]
    columns = "name TEXT, size BIGINT"
    rows = [(f"{odd}{number}", numbers[number % len(numbers)]) for number in range(70) for odd in ODD]

    def put_rows(tx: Transaction) -> list[Any]:
        return tx.each(
            "INSERT INTO things (name, size) SELECT name, size FROM {rows} WHERE true RETURNING name, size",
            columns,
            rows,
        )

    assert sorted(await database.write(put_rows), key=repr) == sorted(rows, key=repr)

    def find(tx: Transaction) -> list[Any]:
        return [
            tx.one("SELECT name, size FROM things WHERE name = :name", name=name) for name, _ in rows[: len(ODD) * 2]
        ]

    assert await database.read(find) == rows[: len(ODD) * 2]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 511, 512, 513, 1_100])
async def test_statements_for_many_rows_touch_each_of_them_once(database: Database, count: int) -> None:
    def put_and_change(tx: Transaction) -> list[Any]:
        tx.each("INSERT INTO things (name, size) SELECT r.name, 0 FROM {rows} WHERE true", "name TEXT",
                [(f"n{number}",) for number in range(count)])  # fmt: skip
        return tx.each(
            "UPDATE things SET size = size + :step + r.more FROM {rows} WHERE things.name = r.name"
            " RETURNING things.name, size",
            "name TEXT, more BIGINT",
            [(f"n{number}", number) for number in range(count)],
            step=1,
        )

    changed = await database.write(put_and_change)

    assert sorted(changed) == sorted((f"n{number}", number + 1) for number in range(count))


async def test_run_tells_how_many_rows_it_touched(database: Database) -> None:
    def touch(tx: Transaction) -> list[int]:
        return [
            tx.run("INSERT INTO things (name) VALUES ('a'), ('b'), ('c')"),
            tx.run("INSERT INTO things (name) VALUES ('a') ON CONFLICT DO NOTHING"),
            tx.run("UPDATE things SET size = 1 WHERE name <> :name", name="a"),
            tx.run("DELETE FROM things WHERE name = 'nobody'"),
            tx.run("DELETE FROM things"),
        ]

    assert await database.write(touch) == [3, 0, 2, 0, 3]
