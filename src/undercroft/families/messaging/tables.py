"""Rows of one noun in one table: put in, found, changed, listed, taken out; always within one namespace."""

from typing import Any, Generic, NamedTuple, TypeVar, cast

from undercroft.database import Transaction

R = TypeVar("R", bound=tuple[Any, ...])
Condition = tuple[str, Any]
"""A piece of SQL with `:{}` where its value goes, such as ("lang = :{}", "eng")."""


class Window(NamedTuple):
    """A page: rows past this position, or (backwards) those before it, nearest first."""

    limit: int
    position: int | None = None
    backwards: bool = False


class Table(Generic[R]):
    """`key` counts up and gives the order; `newest_first` is the order of lists."""

    def __init__(self, name: str, row: type[R], key: str = "id", *, newest_first: bool = False) -> None:
        self.name = name
        self.row = row
        self.key = key
        self.newest_first = newest_first
        self.columns = ", ".join(row._fields)  # type: ignore[attr-defined]

    def insert(self, tx: Transaction, values: dict[str, Any]) -> R | None:
        """None where a unique value is taken."""
        names = list(values)
        found = tx.one(
            f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
            f" ON CONFLICT DO NOTHING RETURNING {self.columns}",
            **values,
        )
        return None if found is None else self.made(found)

    def find(self, tx: Transaction, namespace: str, id: int | str, by: str = "id", *, locked: bool = False) -> R | None:
        """`locked`: it stays as it is until the end of the transaction, which goes by what it reads."""
        found = tx.one(
            f"SELECT {self.columns} FROM {self.name} WHERE {by} = :id AND namespace = :namespace"
            + (" {locked}" if locked else ""),
            id=id,
            namespace=namespace,
        )
        return None if found is None else self.made(found)

    def find_all(self, tx: Transaction, ids: set[int], *, kept: bool = False) -> dict[int, R]:
        """By their key, whatever the namespace. `kept`: they stay until the end of the transaction."""
        rows = tx.each(
            f"SELECT {self.columns} FROM {self.name} WHERE {self.key} IN (SELECT r.id FROM {{rows}})"
            + (f" ORDER BY {self.key} {{kept}}" if kept else ""),
            "id BIGINT",
            [(id,) for id in ids],
        )
        position = self.row._fields.index(self.key)  # type: ignore[attr-defined]
        return {row[position]: self.made(row) for row in rows}

    def known(self, tx: Transaction, namespace: str, ids: set[int]) -> set[int]:
        """Those of these that the namespace has. They stay until the end of the transaction, which refers to them."""
        rows = tx.each(
            f"SELECT {self.key} FROM {self.name} WHERE namespace = :namespace"
            f" AND {self.key} IN (SELECT r.id FROM {{rows}}) ORDER BY {self.key} {{kept}}",
            "id BIGINT",
            [(id,) for id in ids],
            namespace=namespace,
        )
        return {id for (id,) in rows}

    def update(self, tx: Transaction, key: int, values: dict[str, Any]) -> R | None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        found = tx.one(
            f"UPDATE {self.name} SET {changes} WHERE {self.key} = :the_key RETURNING {self.columns}",
            the_key=key,
            **values,
        )
        return None if found is None else self.made(found)

    def delete(self, tx: Transaction, key: int) -> None:
        tx.run(f"DELETE FROM {self.name} WHERE {self.key} = :key", key=key)

    def page(self, tx: Transaction, namespace: str, window: Window, conditions: list[Condition]) -> list[R]:
        """One more row than the limit where there is more behind it; in the order of the walk."""
        descending = self.newest_first != window.backwards
        where, values = ["namespace = :namespace"], {"namespace": namespace, "limit": window.limit + 1}
        if window.position is not None:
            where.append(f"{self.key} {'<' if descending else '>'} :position")
            values["position"] = window.position
        for number, (sql, value) in enumerate(conditions):
            where.append(sql.format(f"value{number}"))
            values[f"value{number}"] = value
        rows = tx.all(
            f"SELECT {self.columns} FROM {self.name} WHERE {' AND '.join(where)}"
            f" ORDER BY {self.key} {'DESC' if descending else 'ASC'} LIMIT :limit",
            **values,
        )
        return [self.made(row) for row in rows]

    def made(self, row: tuple[Any, ...]) -> R:
        return cast(R, self.row._make(row))  # type: ignore[attr-defined]
