"""Two transactions of PostgreSQL at the same moment, made to meet where it hurts. SQLite has one writer."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.parts import Node, SteppedClock, running
from undercroft.database import Transaction
from undercroft.families.timers import actions
from undercroft.families.timers.model import JobIn, check_job
from undercroft.families.timers.runs import spawn_due
from undercroft.machinery.deliveries.actions import claim_due
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.model import State

HOUR = 3_600_000
PATH = "/job/shop/carts"


class Meeting:
    """An action that keeps its transaction open until another stands in line behind it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._is_held = threading.Event()
        self._done = threading.Event()

    async def while_open(self, action: Callable[[Transaction], Any], other: Callable[[], Any]) -> Any:
        """What `other` gave, which began while the transaction of `action` was done but not committed."""

        def held(tx: Transaction) -> None:
            action(tx)
            self._is_held.set()
            assert self._done.wait(20), "nobody came"

        first = asyncio.create_task(self._node.database.write(held))
        await asyncio.to_thread(self._is_held.wait, 20)  # all of it: between two statements it would hold less
        second = asyncio.create_task(other())
        await self._until("wait_event_type = 'Lock'")
        self._done.set()
        await first
        return await second

    async def _until(self, condition: str) -> None:
        sql = f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
        async with asyncio.timeout(20):
            found = None
            while not found:
                found = await self._node.database.read(lambda tx: tx.all(sql))


def with_node(url: str, folder: Path, test: Callable[[Node], Any]) -> None:
    async def run() -> None:
        async with running(url, SteppedClock(), folder) as node:
            route = {"id": "hook", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
            await node.call("POST", "/route/shop", route)
            await test(node)

    asyncio.run(run())


@pytest.mark.parametrize("path", [f"{PATH}/hourly", f"{PATH}?state=scheduled"])
def test_a_run_that_is_spawned_while_its_job_is_deleted_ends_with_it(
    postgres_url: str, tmp_path: Path, path: str
) -> None:
    async def test(node: Node) -> None:
        await node.call("POST", PATH, {"id": "hourly", "cron": "0 * * * *", "route": "hook"})

        await Meeting(node).while_open(spawn_a_run(node), lambda: node.call("DELETE", path))

        assert (await node.call("GET", PATH))["jobs"] == []

    with_node(postgres_url, tmp_path, test)


def test_a_job_whose_run_is_being_delivered_is_left_alone_by_a_deletion_of_many(
    database_url: str, tmp_path: Path
) -> None:
    async def test(node: Node) -> None:
        await node.call("POST", PATH, {"id": "hourly", "cron": "0 * * * *", "route": "hook"})
        await node.database.write(spawn_a_run(node))
        await node.database.write(
            lambda tx: tx.run("UPDATE deliveries SET state = 2, due_at = :until WHERE parent > 0", until=2**60)
        )

        answer = await node.call("DELETE", f"{PATH}?state=scheduled")

        assert (answer["deleted"], answer["in_flight"]) == (0, 1)
        assert len((await node.call("GET", PATH))["jobs"]) == 2

    with_node(database_url, tmp_path, test)


def test_a_job_that_is_deleted_while_it_is_created_anew_is_there_afterwards(postgres_url: str, tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        later = node.clock() + HOUR
        await node.call("POST", PATH, {"id": "one", "trigger_time": later, "meta": "old", "route": "hook"})
        job = check_job(JobIn("one", later, route="hook"), "", node.clock(), late=False)
        order = actions.Order("shop", "carts", job, node.clock())
        loop = asyncio.get_running_loop()

        def delete() -> None:
            deletion = node.database.write(actions.delete_job, ("shop", "carts"), "one")
            asyncio.run_coroutine_threadsafe(deletion, loop).result(20)

        def create(tx: Transaction) -> list[Any]:
            return actions.create_jobs(Interrupted(tx, delete), [order])

        assert await node.database.write(create) == ["one"]

        assert (await node.call("GET", f"{PATH}/one"))["meta"] is None

    with_node(postgres_url, tmp_path, test)


class Interrupted:
    """A transaction right behind whose first INSERT of jobs somebody else commits."""

    def __init__(self, tx: Transaction, somebody_else: Callable[[], None]) -> None:
        self._tx = tx
        self._somebody_else: Callable[[], None] | None = somebody_else

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def put_in(self, table: str, *args: Any, **kwargs: Any) -> Any:
        found = self._tx.put_in(table, *args, **kwargs)
        if self._somebody_else and table == "deliveries":
            act, self._somebody_else = self._somebody_else, None
            act()
        return found


def spawn_a_run(node: Node) -> Callable[[Transaction], None]:
    """As a courier does when the moment of the only recurring job has come."""

    def spawn(tx: Transaction) -> None:
        row = tx.one("UPDATE deliveries SET state = 1, due_at = 0 WHERE kind = 1 RETURNING id")
        assert row is not None
        taken = claim_due(tx, [row[0]], "one", 2**60, node.clock(), {"timers": Hooks(due=spawn_due)})
        assert taken.deliveries == []
        run = tx.one("SELECT state FROM deliveries WHERE parent = :id", id=row[0])
        assert run == (State.SCHEDULED,)
        tx.run("UPDATE targets SET paused_at = 1")  # it waits, so that no attempt of it is under way

    return spawn
