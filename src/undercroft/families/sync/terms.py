"""One engine at a time writes the index: the one that began last.

The lease says which node runs the entries. A node that is paused, or cut off from the database, for longer than its
lease does not know that another has taken over: what it was told before, and writes when it goes on, would stand over
newer facts. So each engine that begins counts up the term, and what it writes later holds while that is the last one.
"""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.families.sync import store_entries

P = ParamSpec("P")
R = TypeVar("R")
Action = Callable[Concatenate[Transaction, P], R]

ELSEWHERE = "the entries run on another node; ask that one"


class Superseded(Refusal):
    """Another engine has begun since."""

    def __init__(self) -> None:
        super().__init__(Kind.UNAVAILABLE, "unavailable", ELSEWHERE, retry_after=1)


class Term:
    """The database for what one engine reads and writes. Each raises Superseded once another has begun."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._number = number
        self.is_over = False

    @classmethod
    async def begin(cls, database: Database) -> "Term":
        return cls(database, await database.write(store_entries.begin_term))

    async def read(self, query: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._database.read(self._within(store_entries.term, query), *args, **kwargs)

    async def write(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._database.write(self._within(store_entries.take_turn, action), *args, **kwargs)

    async def write_once(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._database.write_once(self._within(store_entries.take_turn, action), *args, **kwargs)

    def _within(self, term: Callable[[Transaction], int], action: Action[P, R]) -> Action[P, R]:
        @functools.wraps(action)
        def act(tx: Transaction, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if term(tx) != self._number:
                self.is_over = True
                raise Superseded
            return action(tx, *args, **kwargs)

        return act
