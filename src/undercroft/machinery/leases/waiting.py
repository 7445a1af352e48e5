"""Leases as the rest of the house asks for them: `await leases.acquire(…)`, in line where the order says so.

A waiter is a row; the future here only tells its request. On one node it is told by the very transaction that granted
the lease to it. What another node grants is put down for it there, and fetched by a short poll while anyone waits.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from undercroft.base.refusals import Refusal, unavailable
from undercroft.database import Database
from undercroft.machinery.leases import line_store
from undercroft.machinery.leases.actions import GRANTED, SUPERSEDED, Desk, Seat
from undercroft.machinery.leases.book import Granted
from undercroft.machinery.leases.model import (
    Acquire,
    Answer,
    Fetch,
    GiveBack,
    LeaveLine,
    Order,
    PassOn,
    Place,
    Release,
    Renew,
    Span,
)

log = structlog.get_logger()

Gone = asyncio.Future[None]
"""Done when the client has hung up."""

# Between two looks at what other nodes have put down for waiters of this one (s).
POLL = 0.02
# A waiter that is not in line any more, and was not told: its grant is on its way for so long at the most (s).
ON_ITS_WAY = 5.0
MOST_PER_STEP = 500

_NO = Answer(False)


class Leases:
    def __init__(self, database: Database, desk: Desk) -> None:
        self._database = database
        self._desk = desk
        self._decide = desk.decide
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._closing: Gone = self._loop.create_future()
        self._poller: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = False
        database.listen(GRANTED, self._tell)
        database.listen(SUPERSEDED, self._send_away)

    async def acquire(self, order: Acquire, gone: Gone | None = None) -> Answer:
        """The answer, at once or, with `wait`, when it is granted or the wait is over.

        Who hangs up while waiting leaves the line, and gets nothing. Raises Refusal.
        """
        if not order.wait:
            return await self._ask(order)
        told = self._waiting[order.waiter] = self._loop.create_future()
        self._poll_if_shared()
        try:
            answer = await self._ask(order)
            return await self._stand(order, told, answer, gone) if answer.waits else answer
        finally:
            del self._waiting[order.waiter]

    async def release(self, place: Place, token: str | None) -> bool:
        """Whether it was held, by this token where there is one. Raises Refusal(CONFLICT, "needs_token")."""
        return (await self._ask(Release(place, token))).yes

    async def renew(self, place: Place, token: str, span: Span) -> Answer:
        return await self._ask(Renew(place, token, span))

    async def look(self, place: Place) -> Seat:
        return await self._database.read(self._desk.look, place)

    async def held(
        self, family: str, namespace: str, prefix: str, after: str, most: int
    ) -> tuple[list[Seat], str | None]:
        """As `Desk.held`."""
        return await self._database.read(self._desk.held, family, namespace, prefix, after, most)

    def close(self) -> None:
        """The node stops: everybody who stands in line here is told to ask again."""
        if not self._closing.done():
            self._closing.set_result(None)

    # Steps of loops

    async def keep_lines(self, _now: int) -> bool:
        """Vouch for those who wait here, and pass on what has come free unnoticed."""
        if not self._began:
            self._began = True
            await self._database.write(line_store.forget_run, self._desk.node.rpartition("/")[0] + "/", self._desk.node)
        if self._waiting or self._database.engine == "postgres":
            # Also so that a step of the clock is written down soon: a node that starts before would believe the clock.
            await self._database.write(self._desk.keep_alive)
        over = await self._database.read(self._desk.over_and_awaited, MOST_PER_STEP)
        await asyncio.gather(*(self._ask(PassOn(place)) for place in over))
        return len(over) == MOST_PER_STEP

    async def forget_old(self, _now: int) -> bool:
        """Forget what is over."""
        return await self._database.write(self._desk.forget_old, MOST_PER_STEP) >= MOST_PER_STEP

    async def fetch(self) -> None:
        """Take what other nodes have put down for waiters of this one: all of it by one batch."""
        put_down = await self._database.read(line_store.put_down_for, self._desk.node)
        fetched = await asyncio.gather(*(self._fetch(*one) for one in put_down), return_exceptions=True)
        for failure in fetched:
            if failure is not None:
                raise failure

    async def _fetch(self, place: Place, waiter: str) -> None:
        told = self._waiting.get(waiter)
        if told is not None and not told.done():
            answer = await self._ask(Fetch(place, waiter))
            if not answer.waits and not told.done():
                told.set_result(answer)

    # In line

    async def _stand(self, order: Acquire, told: "asyncio.Future[Answer]", answer: Answer, gone: Gone | None) -> Answer:
        """Until it is told, its time is up, its client has hung up or the node stops."""
        deadline = self._loop.time() + order.wait / 1_000
        endings: set[asyncio.Future[Any]] = {told, self._closing} if gone is None else {told, self._closing, gone}
        while True:
            free_at = deadline if answer.left is None else self._loop.time() + answer.left / 1_000
            seconds = max(0.0, min(free_at, deadline) - self._loop.time())
            await asyncio.wait(endings, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            unheard = gone is not None and gone.done()
            if told.done():
                return await self._give_back(order, told.result()) if unheard else told.result()
            if unheard or self._closing.done() or self._loop.time() >= deadline:
                return await self._leave(order, told, unheard=unheard)
            answer = await self._ask(PassOn(order.place))

    async def _leave(self, order: Acquire, told: "asyncio.Future[Answer]", *, unheard: bool) -> Answer:
        stops = self._closing.done()
        answer = await self._ask(LeaveLine(order.place, order.waiter, order.key, unheard=unheard or stops))
        if answer.waits:  # it was granted a moment ago: the news is on its way
            await asyncio.wait({told}, timeout=ON_ITS_WAY)
            answer = told.result() if told.done() else _NO
        if unheard:
            return await self._give_back(order, answer)
        if stops and not answer.yes:
            raise unavailable("the server is stopping; ask again in a moment")
        return answer

    async def _give_back(self, order: Acquire, answer: Answer) -> Answer:
        """Nobody hears it: it must not be held by nobody."""
        if answer.yes:
            await self._ask(GiveBack(order.place, answer.token, order.waiter, order.key))
        return _NO

    async def _ask(self, order: Order) -> Answer:
        return await self._database.batch(self._decide, order)

    # What transactions tell

    def _tell(self, granted: list[Granted]) -> None:
        for ticket, answer in granted:
            told = self._waiting.get(ticket.waiter)
            if told is None:  # its request ended before this was known
                self._in_background(self._ask(GiveBack(ticket.place, answer.token, ticket.waiter, ticket.key)))
            elif not told.done():
                told.set_result(answer)

    def _send_away(self, waiters: list[str]) -> None:
        for waiter in waiters:
            told = self._waiting.get(waiter)
            if told is not None and not told.done():
                told.set_result(_NO)

    def _poll_if_shared(self) -> None:
        if self._database.engine == "postgres" and self._poller is None:
            self._poller = self._in_background(self._poll())

    async def _poll(self) -> None:
        while self._waiting:
            try:
                await self.fetch()
            except Refusal as refusal:
                log.warning("leases_wait", reason=refusal.message)
            except Exception:
                log.exception("leases_not_fetched")
            await asyncio.sleep(POLL)
        self._poller = None

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
