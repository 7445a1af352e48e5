"""What a courier must survive that no kill in a test hits at the right moment."""

import asyncio
from pathlib import Path

from tests.nodes.parts import SteppedClock, running
from tests.nodes.relay import Relay
from tests.services.receiver import Receiver
from undercroft.base.clock import wall_clock
from undercroft.machinery.deliveries.lanes import DEFAULT_CONCURRENCY

MORE_THAN_A_LANE = 2 * DEFAULT_CONCURRENCY + 1  # sends at once, with as many in line


def route(id: str, receiver: Receiver, **more: object) -> dict[str, object]:
    return {"id": id, "type": "REST", "webhook_url": receiver.url(f"/{id}"), **more}


def test_jobs_given_to_another_route_leave_no_place_taken_in_the_first(
    sqlite_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    class Still(SteppedClock):
        """However long it takes to move them, none is due before all have been."""

        began = wall_clock()

        def __call__(self) -> int:
            return self.began + self.off

    async def run() -> None:
        clock = Still()
        async with running(sqlite_url, clock, tmp_path) as node:
            for id in ("first", "other"):
                await node.call("POST", "/route/shop", route(id, receiver))
            due = clock() + 1_500
            moved = [{"id": f"moved-{n}", "trigger_time": due, "route": "first"} for n in range(MORE_THAN_A_LANE)]
            await node.call("POST", "/job/shop/carts", moved)
            for job in moved:
                await node.call("PUT", f"/job/shop/carts/{job['id']}", {"route": "other"})
            clock.step(1_500)
            await asyncio.to_thread(receiver.wait_for, MORE_THAN_A_LANE, "/other")

            await node.call("POST", "/job/shop/carts", {"id": "after", "trigger_time": clock(), "route": "first"})

            await asyncio.to_thread(receiver.wait_for, 1, "/first", 5)

    asyncio.run(run())


def test_a_claim_whose_commit_was_not_answered_is_found_again(
    postgres_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    """The database has committed, the connection breaks before it can say so: those rows are ours, and nobody's."""

    async def run() -> None:
        clock = SteppedClock()
        async with Relay.to(postgres_url) as relay, running(relay.url, clock, tmp_path) as node:
            await node.call("POST", "/route/shop", route("hook", receiver))
            relay.swallow_commit_after(b"claims = claims + 1")

            await node.call("POST", "/job/shop/carts", {"id": "one", "trigger_time": clock(), "route": "hook"})

            await asyncio.to_thread(receiver.wait_for, 1, "/hook", 10)
            await node.wait_for("/job/shop/carts/one?detail=1", state="delivered")
            assert relay.swallowed == 1
            assert len(receiver.calls("/hook")) == 1

    asyncio.run(run())


def test_what_could_not_even_be_given_back_is_due_again_when_its_lease_is_over(
    sqlite_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    async def run() -> None:
        clock = SteppedClock()
        async with running(sqlite_url, clock, tmp_path) as node:
            await node.call("POST", "/route/shop", route("hook", receiver))
            later = clock() + 3_600_000
            await node.call("POST", "/job/shop/carts", {"id": "one", "trigger_time": later, "route": "hook"})
            await node.database.write(_as_if_lost, node.parts.courier.node, clock() + 200)

            await asyncio.to_thread(receiver.wait_for, 1, "/hook", 5)

    asyncio.run(run())


def _as_if_lost(tx, node: str, lease_until: int) -> None:  # type: ignore[no-untyped-def]
    tx.run(
        "UPDATE deliveries SET state = 2, claims = claims + 1, claimed_by = :node, due_at = :until",
        node=node,
        until=lease_until,
    )
