"""What the rest of the house knows of a database.

The core is synchronous: an action is a plain function whose first argument is a `Transaction`. The edges run it with
`await db.write(action, …)` or `await db.read(query, …)`. An action has no outside effect, so that it may be run twice.

SQL is written once, in the subset that both engines speak: TEXT, BIGINT, `:named` parameters, RETURNING, ON CONFLICT.
Five words stand for what they spell differently:

    {identity}            a primary key that the database counts up and never hands out twice
    {rows}                the table `r` of the rows that are handed to `each`
    {skip_locked}         leave rows alone that another transaction holds
    {locked}              wait for those rows, see them as they are then, and hold them
    {kept}                keep those rows from being removed, as others may at the same time
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from undercroft.base.refusals import Refusal

P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item")

# Seconds; the engine gives a statement up that takes longer.
LONGEST_STATEMENT = 30.0
TOOK_TOO_LONG = (
    f"the database gave this up after {LONGEST_STATEMENT:g} s; nothing was changed, ask for less at once or later"
)

Row = tuple[Any, ...]
Listener = Callable[[list[Any]], None]


class Transaction(Protocol):
    def all(self, sql: str, **parameters: Any) -> list[Row]:
        """Every row that the statement gives."""

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """The first row, or None."""

    def each(self, sql: str, columns: str, rows: Sequence[Sequence[Any]], **parameters: Any) -> list[Row]:
        """Run it for all these rows at once; what it gives. `columns`: "id BIGINT, reason TEXT".

        A statement for many rows costs little more than one for a single row; nothing is run for none.
        """

    def put_in(self, table: str, columns: str, rows: Sequence[Sequence[Any]], giving: str) -> list[Row]:
        """Insert these rows but for those that collide with one that is there; `giving` of those that are in now.

        `columns` as in `each`; `giving` names `id` and some of them: "id, name". The quickest way in for many rows.
        """

    def run(self, sql: str, **parameters: Any) -> int:
        """Run it for its effect; how many rows it touched."""

    def tell(self, topic: str, items: Sequence[Any]) -> None:
        """Hand these to whoever listens to the topic in this process, once the transaction is durable."""


Action = Callable[Concatenate[Transaction, P], R]
BatchAction = Callable[[Transaction, list[Item]], list[R | Refusal]]


class Database(Protocol):
    engine: str
    """`sqlite` or `postgres`."""

    async def write(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the action in a transaction; its result once that is durable. What it raises undoes it alone.

        After a deadlock or a lost connection it is run again, perhaps once more than is durable. Raises
        Refusal(UNAVAILABLE) when the database is full, locked or gone.
        """

    async def write_once(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `write`, for what would say or do something else if it was run again after it had become durable.

        That costs PostgreSQL one row more. `batch` does the same.
        """

    async def batch(self, action: BatchAction[Item, R], item: Item) -> R:
        """Like `write` for one of many: callers who wait at the same time share one call of the action.

        The action gets their items and answers in the same order, a Refusal where it refuses one.
        """

    async def read(self, query: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query that writes nothing. All its statements see the database at one moment, that of the first.

        Raises Refusal(UNAVAILABLE) when one of its statements takes longer than `LONGEST_STATEMENT`.
        """

    async def read_apart(self, query: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `read`, for what must go on whatever requests ask for: it never waits for a reader that they keep busy."""

    async def can_be_written(self) -> bool:
        """False where the disk is full or broken, or was half a minute ago."""

    def listen(self, topic: str, listener: Listener) -> None:
        """Call the listener in the event loop with what committed transactions tell about the topic."""

    async def close(self) -> None:
        """Finish what is under way, then let go of every connection."""
