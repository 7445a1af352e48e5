"""PostgreSQL through psycopg: the same actions on a small pool of connections in threads, each its own transaction.

Isolation is READ COMMITTED; a deadlock, a serialization failure or a lost connection runs the action again, which is
safe because an action has no outside effect. Batched calls share a transaction, so that a commit carries many.

A connection that is lost between COMMIT and its answer leaves open whether the transaction is durable. Of `write_once`
and `batch` that is found out: see `last_commits.py`.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal, unavailable
from undercroft.database.calls import Call, Listeners, Trouble
from undercroft.database.interface import (
    LONGEST_STATEMENT,
    TOOK_TOO_LONG,
    Action,
    BatchAction,
    Item,
    Listener,
    P,
    R,
    Transaction,
)
from undercroft.database.migrate import Migration, migrate, migrations_in
from undercroft.database.postgres.last_commits import FORGET_OLD, Done, Slots, Tries

# How long an action is tried while the database is away (seconds), counted from its call: long enough for a restart.
# Who has waited for a thread all that time, and who comes when it is known to be away, gets one short try.
PATIENCE = 5.0
SHORT_TRY = 0.2
# Between two tries.
PAUSE = 0.1
# Batches of one action that are under way at once: two keep the disk busy while the next one gathers.
BATCHES_AT_ONCE = 2
MOST_CALLS_PER_BATCH = 500
LEFT_TO_OTHERS = 2
_MIGRATION_LOCK = 3862

_ENDED = (errors.QueryCanceled, errors.LockNotAvailable)
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.ReadOnlySqlTransaction)
# The line is lost, the server restarts, lacks something, or its disk fails.
_PASSING = ("08", "57P", "53", "58")
# A line that broke without a word is noticed within twenty seconds, not within a quarter of an hour.
_CONNECTION = {
    "autocommit": True,
    "application_name": "undercroft",
    "options": f"-c statement_timeout={round(LONGEST_STATEMENT * 1_000)} -c lock_timeout=5000"
    " -c idle_in_transaction_session_timeout=60000",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


class PostgresDatabase:
    engine = "postgres"

    def __init__(self, url: str, size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = Listeners()
        self._trouble = Trouble()
        self._threads = ThreadPoolExecutor(size, "postgres")
        # Some threads are left to those who write, and to `read_apart`, however much is read.
        self._may_read = asyncio.Semaphore(max(1, size - LEFT_TO_OTHERS))
        self._waiting: dict[Any, list[Call]] = {}
        self._under_way: dict[Any, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._is_away = False
        self._slots = Slots()
        self._pool = ConnectionPool(
            url,
            kwargs=_CONNECTION,
            min_size=1,
            max_size=size,
            reconnect_timeout=0,
            open=False,
        )

    @classmethod
    async def open(cls, url: str, migrations: list[Migration], clock: Clock, size: int = 8) -> "PostgresDatabase":
        database = cls(url, size)
        database._pool.open(wait=False)
        try:
            await database.write(_migrate_alone, [*migrations_in("undercroft.database.postgres"), *migrations], clock())
        except BaseException:
            await database.close()
            raise
        return database

    async def write(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._refuse_when_closing()
        return await self._run(Call(action, args, kwargs))  # type: ignore[no-any-return]

    async def write_once(self, action: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._refuse_when_closing()
        return await self._run(Call(action, args, kwargs, once=True))  # type: ignore[no-any-return]

    async def batch(self, action: BatchAction[Item, R], item: Item) -> R:
        self._refuse_when_closing()
        call = Call(action, (item,), {}, batched=True)
        call.future = self._loop.create_future()
        self._waiting.setdefault(action, []).append(call)
        if self._under_way.get(action, 0) < BATCHES_AT_ONCE:
            self._under_way[action] = self._under_way.get(action, 0) + 1
            task = self._loop.create_task(self._run_batches(action))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await call.future  # type: ignore[no-any-return]

    async def read(self, query: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._refuse_when_closing()
        call = Call(query, args, kwargs, reads=True)
        async with self._may_read:
            return await self._run(call)  # type: ignore[no-any-return]

    async def read_apart(self, query: Action[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._refuse_when_closing()
        return await self._run(Call(query, args, kwargs, reads=True))  # type: ignore[no-any-return]

    async def can_be_written(self) -> bool:
        """Every node writes its heartbeat anyway: what came of that is known."""
        return not self._trouble.is_there()

    def listen(self, topic: str, listener: Listener) -> None:
        self._listeners.add(topic, listener)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._pool.close)

    async def _run_batches(self, action: Any) -> None:
        try:
            while calls := self._waiting.get(action):
                self._waiting[action] = calls[MOST_CALLS_PER_BATCH:]
                await self._run_batch(action, calls[:MOST_CALLS_PER_BATCH])
        finally:
            self._under_way[action] -= 1

    async def _run_batch(self, action: Any, calls: list[Call]) -> None:
        try:
            together = Call(action, ([call.args[0] for call in calls],), {}, once=True, since=calls[0].since)
            Call.answer_batch(calls, await self._run(together))
        except Exception as error:
            if len(calls) > 1 and not isinstance(error, Refusal):
                for call in calls:  # one of them may be at fault: let each stand for itself
                    await self._run_batch(action, [call])
                return
            for call in calls:
                call.fail(error)
        for call in calls:
            call.resolve()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise unavailable("the server is shutting down")

    async def _run(self, call: Call) -> Any:
        result, told = await self._loop.run_in_executor(self._threads, self._transact, call)
        self._listeners.announce(told)
        return result

    def _transact(self, call: Call) -> Done:
        deadline = call.since + (SHORT_TRY if self._is_away else PATIENCE)
        collided = False
        tries = Tries(call, self._slots)
        while True:
            wait = max(deadline - time.monotonic(), SHORT_TRY)
            try:
                with self._pool.connection(wait) as connection:  # which commits at its end
                    done = tries.run(connection)
                tries.end()
                self._is_away = False
                return done
            except errors.UniqueViolation:
                # Another transaction has put the same in after we had looked: the second try finds it there.
                if collided:
                    raise
                collided = True
            except (*_AGAIN, psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
                if not _is_passing(error) and not isinstance(error, _ENDED):
                    raise
                if not _worth_another_try(error) or time.monotonic() > deadline:
                    self._is_away = isinstance(error, PoolTimeout)
                    if isinstance(error, errors.DiskFull | errors.IoError):
                        self._trouble.note()
                    raise _as_refusal(error) from error
                time.sleep(PAUSE)


def _worth_another_try(error: Exception) -> bool:
    """A statement that ran into its own time limit would only do so again."""
    return _is_passing(error) and not isinstance(error, errors.DiskFull)


def _is_passing(error: Exception) -> bool:
    """Whether it comes of the server's state; else of the statement, as a value too long for an index (54000) does."""
    state = getattr(error, "sqlstate", None)
    return state is None or isinstance(error, _AGAIN) or state.startswith(_PASSING)


def _as_refusal(error: Exception) -> Refusal:
    match error:
        case errors.DiskFull():
            return unavailable("PostgreSQL has no space left; nothing was changed, make room and try again")
        case errors.QueryCanceled():
            return unavailable(TOOK_TOO_LONG)
        case errors.LockNotAvailable() | errors.DeadlockDetected() | errors.SerializationFailure():
            return unavailable("PostgreSQL is busy with this row or table; nothing was changed, try again")
        case psycopg.Error(sqlstate=str(state)) if state.startswith(("53", "58")):
            return unavailable("PostgreSQL lacks memory or connections, or its disk fails; its own log says which")
        case _:
            return unavailable("PostgreSQL is not reachable; check that it runs and that --database is right")


def _migrate_alone(tx: Transaction, migrations: list[Migration], now: int) -> int:
    """Several nodes may start at once; one of them migrates, however long that takes, the others find it done."""
    tx.run("SET LOCAL statement_timeout = 0")
    tx.run("SET LOCAL lock_timeout = 0")
    tx.run("SELECT pg_advisory_xact_lock(:lock)", lock=_MIGRATION_LOCK)
    applied = migrate(tx, migrations, now)
    tx.run(FORGET_OLD)
    return applied
