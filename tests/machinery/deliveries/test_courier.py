"""The courier's steps, on both engines: what is due is claimed, sent and settled; once, in time, within limits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.machinery.deliveries.making import FAMILY, NOW, Clock
from tests.machinery.deliveries.rig import Rig, running
from tests.services.waiting import until
from undercroft.base.clock import HOUR, SECOND
from undercroft.base.refusals import unavailable
from undercroft.machinery.deliveries import lanes, settling, store, targets
from undercroft.machinery.deliveries.hooks import Hooks, Settled
from undercroft.machinery.deliveries.model import Delivery, Kind, NewDelivery, State

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with running(database_url, Clock()) as rig:
        yield rig


async def test_what_is_due_is_sent_once_and_written_down(rig: Rig) -> None:
    ids = await rig.make(3)

    await rig.fire()
    await rig.fire()

    assert sorted(rig.transport.jobs) == ["job0", "job1", "job2"]
    assert await rig.states() == {State.DELIVERED: 3}
    one = await rig.row(ids[0])
    assert (one.attempts, one.claims, one.reason) == (1, 1, None)
    [attempt] = await rig.database.read(store.attempts_of, ids[0], (-1, -1), 10)
    assert (attempt.number, attempt.node, attempt.status, attempt.took_ms, attempt.reply) == (1, "one", 200, 2, "so")
    assert rig.courier.in_hands == set()


async def test_nothing_is_sent_before_its_moment(rig: Rig) -> None:
    await rig.make(1, planned_at=NOW + 50)

    await rig.fire()
    rig.clock.now += 49
    await rig.fire()
    assert rig.transport.sent == []

    rig.clock.now += 1
    await rig.fire()
    assert rig.transport.at == [NOW + 50]


async def test_what_failed_is_sent_again_after_its_pause_under_the_same_id(rig: Rig) -> None:
    [id] = await rig.make(1, retries=(5.0, 30.0))
    rig.transport.status["hook"] = 500

    await rig.fire()
    first = await rig.row(id)
    assert (first.state, first.attempts) == (State.SCHEDULED, 1)
    assert first.reason is not None and "500" in first.reason
    assert 5 * SECOND <= first.due_at - NOW <= 5.5 * SECOND

    rig.clock.now = first.due_at - 1
    await rig.fire()
    assert len(rig.transport.sent) == 1

    rig.clock.now += 1
    rig.transport.status["hook"] = None
    await rig.fire()
    rig.clock.now += 40 * SECOND
    await rig.fire()

    assert [attempts for _, _, attempts in rig.transport.sent] == [0, 1, 2]
    assert len({webhook_id for _, webhook_id, _ in rig.transport.sent}) == 1
    last = await rig.row(id)
    assert (last.state, last.attempts) == (State.DEAD, 3)
    assert last.reason is not None and "3 attempts" in last.reason


async def test_another_content_has_another_id_and_a_replay_the_same(rig: Rig) -> None:
    [id] = await rig.make(1, retries=())
    rig.transport.status["hook"] = 500
    await rig.fire()
    await rig.database.write(store.replay, [id], rig.clock())
    await rig.fire()
    dead = await rig.row(id)
    await rig.database.write(store.move, [(store.seen(dead), rig.clock())], rig.clock())
    await rig.fire()

    first, replayed, moved = [webhook_id for _, webhook_id, _ in rig.transport.sent]
    assert first == replayed != moved


async def test_410_ends_it_and_holds_what_else_goes_there(rig: Rig) -> None:
    await rig.make(1)
    rig.transport.status["hook"] = 410
    await rig.fire()

    target = await rig.database.read(targets.find_target, FAMILY, "shop", "hook")
    assert target is not None and target.paused_at == NOW and target.pause_reason is not None
    assert "410" in target.pause_reason
    await rig.database.write(lambda tx: store.insert(tx, [NewDelivery(1, "more", 1, NOW, "{}")], NOW))
    await rig.fire()

    assert rig.transport.jobs == ["job0"]
    assert await rig.states() == {State.DEAD: 1, State.HELD: 1}


async def test_what_was_deleted_or_moved_after_it_was_expected_is_not_sent(rig: Rig) -> None:
    ids = await rig.make(2, planned_at=NOW + 10)
    await rig.upkeep.look_ahead(NOW)
    deleted, moved = [await rig.row(id) for id in ids]
    await rig.database.write(store.delete, [store.seen(deleted)])
    await rig.database.write(store.move, [(store.seen(moved), NOW + HOUR)], NOW)

    rig.clock.now += 20
    await rig.fire()
    assert rig.transport.sent == []

    rig.clock.now = NOW + HOUR
    await rig.fire()
    assert rig.transport.jobs == [moved.name]


async def test_what_is_moved_nearer_is_sent_then(rig: Rig) -> None:
    [id] = await rig.make(1, planned_at=NOW + 2 * SECOND)
    await rig.database.write(store.move, [(store.seen(await rig.row(id)), NOW)], NOW)

    await rig.fire()
    rig.clock.now += 3 * SECOND
    await rig.fire()

    assert rig.transport.at == [NOW]


async def test_hints_that_come_twice_or_lie_do_no_harm(rig: Rig) -> None:
    [id] = await rig.make(1)
    rig.courier.expect([(NOW, id, 1), (NOW - 1, id, 1), (NOW - 2, id, 77), (NOW, 10**9, 1), (NOW - 5, 10**9, 88)])

    await rig.fire()

    assert len(rig.transport.sent) == 1
    assert len(rig.courier.lanes) == 0


async def test_as_many_at_once_as_the_route_allows_and_the_rest_after(rig: Rig) -> None:
    await rig.make(20, concurrency=3)
    rig.transport.hanging.add("hook")

    await rig.fire()
    assert rig.transport.under_way["hook"] == 3

    rig.transport.go_on.set()
    await rig.fire()
    assert rig.transport.most["hook"] == 3
    assert Counter(rig.transport.jobs) == {f"job{n}": 1 for n in range(20)}
    assert await rig.states() == {State.DELIVERED: 20}


async def test_who_hangs_delays_nobody_else(rig: Rig) -> None:
    await rig.make(100, "slow", concurrency=2, prefix="slow")
    await rig.make(20, "quick", prefix="quick")
    rig.transport.hanging.add("slow")

    await rig.fire()

    assert sum(name.startswith("quick") for name in rig.transport.jobs) == 20
    assert rig.transport.under_way["slow"] == 2


async def test_a_rate_is_kept_from_the_first_on(rig: Rig) -> None:
    await rig.make(30, rate=4)

    await rig.fire()
    assert len(rig.transport.sent) == 4, "a second's worth at once"

    for _ in range(100):
        rig.clock.now += 50
        await rig.courier.fire_due()
        await asyncio.sleep(0)
    await rig.fire()
    per_second = Counter((moment - NOW) // SECOND for moment in rig.transport.at)
    assert sum(per_second.values()) == 24, "4 and then 4 in each of 5 seconds"
    assert max(count for second, count in per_second.items() if second) <= 5


async def test_what_is_paused_is_held_and_goes_on_after(rig: Rig) -> None:
    await rig.make(3, paused_at=NOW)
    await rig.fire()
    assert await rig.states() == {State.HELD: 3}

    await rig.upkeep.release_held(NOW)
    assert await rig.states() == {State.HELD: 3}

    await rig.database.write(targets.pause_target, 1, None, None)
    await rig.upkeep.release_held(NOW)
    await rig.fire()
    assert await rig.states() == {State.DELIVERED: 3}


async def test_a_paused_queue_holds_its_own_and_no_others(rig: Rig) -> None:
    await rig.make(2, queue="paused", prefix="a")
    await rig.make(2, queue="open", prefix="b")
    await rig.database.write(targets.pause_queue, 1, NOW)

    await rig.fire()

    assert sorted(rig.transport.jobs) == ["b0", "b1"]
    assert await rig.states() == {State.HELD: 2, State.DELIVERED: 2}


async def test_what_no_lane_has_room_for_is_held_and_sent_later_each_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LONGEST_LANE", 20)
    await rig.make(200, concurrency=2)
    rig.transport.hanging.add("hook")
    await rig.fire()
    states = await rig.states()
    assert states[State.HELD] > 100

    rig.transport.hanging.clear()
    rig.transport.go_on.set()
    for _ in range(100):
        await rig.fire()
        await rig.upkeep.release_held(rig.clock())
    assert Counter(rig.transport.jobs) == {f"job{n}": 1 for n in range(200)}
    assert await rig.states() == {State.DELIVERED: 200}


async def test_what_goes_to_a_route_that_was_removed_dies_and_can_be_replayed(rig: Rig) -> None:
    [id] = await rig.make(1, planned_at=NOW + 10)
    await rig.database.write(targets.remove_target, 1, NOW)
    rig.clock.now += 10
    await rig.fire()
    dead = await rig.row(id)
    assert (dead.state, dead.reason, dead.attempts) == (State.DEAD, "its target was removed", 0)

    await rig.make(0)
    await rig.database.write(store.replay, [id], rig.clock())
    await rig.fire()
    assert rig.transport.jobs == ["job0"]


async def test_a_fault_of_the_transport_is_a_failed_attempt(rig: Rig) -> None:
    [id] = await rig.make(1)
    rig.transport.fault = LookupError("of ours")

    await rig.fire()

    one = await rig.row(id)
    assert (one.state, one.attempts) == (State.SCHEDULED, 1)
    assert one.reason == "could not be sent: LookupError"


async def test_a_call_for_which_the_lease_is_too_short_is_not_made(rig: Rig) -> None:
    """The clock leaps while it waits in line: by now another courier may have it."""
    await rig.make(3, concurrency=1)
    rig.transport.hanging.add("hook")
    await rig.fire()
    assert len(rig.transport.sent) == 1

    rig.clock.now += HOUR
    rig.transport.hanging.clear()
    rig.transport.go_on.set()
    await rig.let_go_on()
    assert rig.transport.jobs == ["job0"]
    assert (await rig.states())[State.SCHEDULED] == 2

    await rig.fire()
    assert sorted(rig.transport.jobs) == ["job0", "job1", "job2"]


async def test_outcomes_wait_for_a_database_that_is_away_and_claims_with_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MOST_UNSETTLED", 2)
    monkeypatch.setattr(settling, "PAUSE", 0.01)
    await rig.make(4)
    really_write = rig.database.write
    refused: list[str] = []
    away = True

    async def write(action: Any, *args: Any, **kwargs: Any) -> Any:
        if action.__name__ == "settle_tried" and away:
            refused.append(action.__name__)
            raise unavailable("away")
        return await really_write(action, *args, **kwargs)

    monkeypatch.setattr(rig.database, "write", write)
    await rig.courier.fire_due()
    await until(lambda: len(rig.courier.settling.tried) == 4, "all to be sent")
    await rig.make(1, prefix="later")
    assert not await rig.courier.fire_due()
    assert "later0" not in rig.transport.jobs
    await until(lambda: len(refused) >= 5, "it to be tried again and again")

    away = False
    await rig.let_go_on()
    await rig.fire()

    assert await rig.states() == {State.DELIVERED: 5}
    assert len(rig.transport.sent) == 5


async def test_a_lane_rests_while_much_of_it_is_not_written_down(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is killed now repeats what is not written down: no more of a lane than this, and its calls under way."""
    monkeypatch.setattr(settling, "MOST_UNSETTLED_OF_LANE", 5)
    monkeypatch.setattr(settling, "PAUSE", 0.001)
    really_write = rig.database.write
    away = True

    async def write(action: Any, *args: Any, **kwargs: Any) -> Any:
        if action.__name__ == "settle_tried" and away:
            raise unavailable("away")
        return await really_write(action, *args, **kwargs)

    monkeypatch.setattr(rig.database, "write", write)
    await rig.make(40, concurrency=3)
    await rig.make(2, target="another", prefix="other")
    await rig.upkeep.look_ahead(rig.clock())
    for _ in range(30):  # as often as all of them would need
        await rig.courier.fire_due()
        await asyncio.sleep(0.001)

    assert 5 <= len([job for job in rig.transport.jobs if job.startswith("job")]) < 5 + 3
    assert {"other0", "other1"} <= set(rig.transport.jobs), "another lane goes on"

    away = False
    await rig.let_go_on()
    await rig.fire()
    assert await rig.states() == {State.DELIVERED: 42}
    assert len(rig.transport.sent) == 42
    assert not rig.courier.settling._of_lanes


async def test_a_claim_that_fails_is_made_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.make(4)
    really_write = rig.database.write
    refused: list[str] = []

    async def write(action: Any, *args: Any, **kwargs: Any) -> Any:
        if action.__name__ == "claim_due" and len(refused) < 2:
            refused.append(action.__name__)
            raise unavailable("away")
        return await really_write(action, *args, **kwargs)

    monkeypatch.setattr(rig.database, "write", write)
    for _ in range(2):
        with pytest.raises(Exception, match="away"):
            await rig.courier.fire_due()
    await rig.fire()

    assert await rig.states() == {State.DELIVERED: 4}
    assert len(rig.transport.sent) == 4


async def test_an_orderly_stop_leaves_nothing_in_its_hands(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.make(10, concurrency=2)
    rig.transport.hanging.add("hook")
    await rig.fire()

    await rig.courier.stop(0.02)
    await rig.let_go_on()

    states = await rig.states()
    assert states[State.SENDING] == 0 and states[State.SCHEDULED] == 10
    assert len(rig.transport.sent) == 2
    cut = [one for one in [await rig.row(id) for id in range(1, 11)] if one.attempts]
    assert len(cut) == 2
    assert all(one.reason is not None and "shut down" in one.reason for one in cut)


async def test_a_stop_waits_for_calls_that_end_within_the_grace(rig: Rig) -> None:
    await rig.make(2, concurrency=2)
    rig.transport.hanging.add("hook")
    await rig.fire()
    stopping = asyncio.ensure_future(rig.courier.stop(10))
    await asyncio.sleep(0.01)

    rig.transport.go_on.set()
    await stopping
    await rig.let_go_on()

    assert await rig.states() == {State.DELIVERED: 2}


async def test_a_family_adds_headers_and_hears_of_every_end(database_url: str) -> None:
    heard: list[Settled] = []

    def hear(tx: Any, settled: list[Settled]) -> None:
        heard.extend(settled)
        tx.run("UPDATE queues SET paused_at = NULL")  # in the same transaction

    hooks = Hooks(headers=lambda delivery, queue, target: {"X-Of": f"{delivery.name} {queue.name}"}, settled=hear)
    async with running(database_url, Clock(), hooks=hooks) as rig:
        await rig.make(1, retries=(1.0,))
        rig.transport.status["hook"] = 500
        await rig.fire()
        rig.clock.now += 2 * SECOND
        await rig.fire()
        await rig.make(1, "other", prefix="other")
        await rig.database.write(targets.remove_target, 2, NOW)
        await rig.make(1, "third", prefix="third")
        await rig.fire()

        assert rig.transport.headers[0] == {"X-Of": "job0 orders"}
        assert [(one.delivery.name, one.verdict.state) for one in heard] == [
            ("job0", State.SCHEDULED),
            ("job0", State.DEAD),
            ("other0", State.DEAD),
            ("third0", State.DELIVERED),
        ]


async def test_one_whose_family_fails_on_it_stops_no_others(database_url: str) -> None:
    def fail(_tx: Any, settled: list[Settled]) -> None:
        if any(one.delivery.name == "job2" for one in settled):
            raise LookupError("of the family")

    async with running(database_url, Clock(), hooks=Hooks(settled=fail)) as rig:
        ids = await rig.make(5)
        await rig.fire()

        assert await rig.states() == {State.DELIVERED: 4, State.SENDING: 1}
        assert rig.courier.in_hands == set()
        rig.clock.now += HOUR
        await rig.upkeep.reclaim_expired(rig.clock())
        assert (await rig.row(ids[2])).state == State.SCHEDULED


async def test_two_couriers_on_one_database_send_each_once(postgres_url: str) -> None:
    clock = Clock()
    async with running(postgres_url, clock, node="one") as one, running(postgres_url, clock, node="two") as two:
        await one.make(200, planned_at=NOW + 10)
        for rig in (one, two):
            await rig.upkeep.look_ahead(NOW)
        clock.now += 10
        await asyncio.gather(one.fire(), two.fire())

        assert Counter(one.transport.jobs + two.transport.jobs) == {f"job{n}": 1 for n in range(200)}
        assert await one.states() == {State.DELIVERED: 200}


async def test_one_whose_tick_fails_stops_no_others(database_url: str) -> None:
    def tick(tx: Any, ticks: list[Delivery], now: int) -> None:
        if any(one.name == "job2" for one in ticks):
            raise LookupError("of the family")
        store.reschedule(tx, [(one.id, one.claims, now + HOUR) for one in ticks], now)

    async with running(database_url, Clock(), hooks=Hooks(due=tick)) as rig:
        ids = await rig.make(5, kind=Kind.TICK)
        await rig.make(1, prefix="outward")
        await rig.fire()

        due = [(await rig.row(id)).due_at - NOW for id in ids]
        assert due == [HOUR, HOUR, 0, HOUR, HOUR]
        assert rig.transport.jobs == ["outward0"]
        assert rig.courier.in_hands == set()
