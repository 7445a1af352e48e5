"""The wall clock is set forward and back under a running node: nothing is lost, nothing fires twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.nodes.parts import Node, SteppedClock, running
from tests.services.receiver import Answer, Receiver
from undercroft.base.clock import DAY, HOUR, MINUTE

PATH = "/job/shop/carts"


def on_stepped_clock(url: str, folder: Path, receiver: Receiver, test: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(url, SteppedClock(), folder) as node:
            route = {"id": "hook", "type": "REST", "webhook_url": receiver.url("/hook"), "concurrency": 2}
            await node.call("POST", "/route/shop", route)
            await test(node)

    asyncio.run(run())


async def add(node: Node, due_in: dict[str, int]) -> None:
    jobs = [{"id": id, "trigger_time": node.clock() + wait, "route": "hook"} for id, wait in due_in.items()]
    await node.call("POST", PATH, jobs)


async def delivered(node: Node, *ids: str) -> None:
    for id in ids:
        await node.wait_for(f"{PATH}/{id}?detail=1", state="delivered")


def arrivals(receiver: Receiver) -> Counter[str]:
    return Counter(call.headers["x-undercroft-job"] for call in receiver.calls())


def test_forward_it_fires_what_has_become_due_and_nothing_else(
    database_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    async def test(node: Node) -> None:
        await add(node, {"soon": HOUR, "later": 3 * HOUR, "in-a-week": 7 * DAY})

        node.clock.step(2 * HOUR)
        await delivered(node, "soon")
        assert arrivals(receiver) == {"soon": 1}

        node.clock.step(8 * DAY)
        await delivered(node, "later", "in-a-week")
        assert arrivals(receiver) == {"soon": 1, "later": 1, "in-a-week": 1}

    on_stepped_clock(database_url, tmp_path, receiver, test)


def test_back_it_waits_for_the_moment_by_the_new_time_and_repeats_nothing(
    database_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    async def test(node: Node) -> None:
        await add(node, {"done": 0, "near": 30_000})
        await delivered(node, "done")

        node.clock.step(-2 * HOUR)
        await add(node, {"new": 0})
        await delivered(node, "new")
        assert arrivals(receiver) == {"done": 1, "new": 1}, "what is near by the old time is hours away now"

        node.clock.step(2 * HOUR)
        await add(node, {"last": 0})
        node.clock.step(MINUTE)
        await delivered(node, "near", "last")
        assert arrivals(receiver) == {"done": 1, "new": 1, "near": 1, "last": 1}

    on_stepped_clock(database_url, tmp_path, receiver, test)


def test_steps_while_calls_are_under_way_double_nothing(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    """A step of a day ends every lease by the clock; the calls that it belongs to are still in this node's hands."""

    async def test(node: Node) -> None:
        receiver.default = Answer(delay=0.3)
        names = [f"job-{number}" for number in range(12)]
        await add(node, dict.fromkeys(names, 0))
        for step in (DAY, -2 * DAY, 3 * DAY):
            await asyncio.to_thread(receiver.wait_for, len(receiver.calls()) + 1)
            node.clock.step(step)

        await delivered(node, *names)

        assert arrivals(receiver) == dict.fromkeys(names, 1)
        assert len({call.headers["webhook-id"] for call in receiver.calls()}) == len(names)

    on_stepped_clock(database_url, tmp_path, receiver, test)


def test_a_retry_comes_also_after_the_clock_was_set_back(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    async def test(node: Node) -> None:
        receiver.answer("/hook", Answer(500), Answer())
        await node.call("POST", PATH, {"id": "one", "trigger_time": node.clock(), "route": "hook", "retries": [60]})
        await node.wait_for(f"{PATH}/one?detail=1", state="retrying")

        node.clock.step(-HOUR)
        node.clock.step(HOUR + 2 * MINUTE)

        await delivered(node, "one")
        assert arrivals(receiver) == {"one": 2}

    on_stepped_clock(database_url, tmp_path, receiver, test)


def test_a_recurring_job_makes_up_for_a_step_with_one_run(
    database_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    async def test(node: Node) -> None:
        await node.call("POST", PATH, {"id": "hourly", "cron": "0 * * * *", "route": "hook"})

        node.clock.step(DAY)
        await asyncio.to_thread(receiver.wait_for, 1)
        node.clock.step(-DAY)
        await add(node, {"afterwards": 0})
        await delivered(node, "afterwards")

        assert len(receiver.calls()) == 2

    on_stepped_clock(database_url, tmp_path, receiver, test)
