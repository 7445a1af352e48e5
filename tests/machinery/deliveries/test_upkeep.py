"""The steps that keep couriers supplied: each row that falls due is found by somebody, what was lost is found again."""

from collections import Counter

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.deliveries.rig import Rig, beat_all, claim_as, make_unheard
from undercroft.base.clock import DAY, HOUR, MINUTE
from undercroft.machinery.deliveries import claims, lanes, targets, upkeep
from undercroft.machinery.deliveries.courier import AHEAD
from undercroft.machinery.deliveries.model import FILED_EARLY, Outcome, Result, State
from undercroft.machinery.deliveries.policy import Verdict
from undercroft.machinery.deliveries.upkeep import OVERDUE, OVERDUE_OF_ALL

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def expected_by(rig: Rig) -> set[int]:
    return {entry[1] for entry in rig.courier.horizon.pop_due(10**15, 10**9)}


# Looking ahead


async def test_what_falls_due_soon_is_expected_and_nothing_else(rig: Rig) -> None:
    soon = await make_unheard(rig, 3, planned_at=NOW + AHEAD)
    await make_unheard(rig, 3, planned_at=NOW + AHEAD + 1, prefix="later")

    assert not await rig.upkeep.look_ahead(NOW)

    assert await expected_by(rig) == set(soon)


async def test_pages_go_on_where_the_last_one_ended_also_within_one_instant(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAGE", 10)
    ids = await make_unheard(rig, 95, planned_at=NOW + 1)

    pages = 1
    while await rig.upkeep.look_ahead(NOW):
        pages += 1

    assert pages == 10
    assert await expected_by(rig) == set(ids)


async def test_time_going_on_leaves_no_gap(rig: Rig) -> None:
    ids = await make_unheard(rig, 200, planned_at=lambda number: NOW + 100 * number)
    seen: set[int] = set()

    for _ in range(30):
        await rig.upkeep.look_ahead(rig.clock())
        new = await expected_by(rig)
        assert len(new & seen) <= 1, "no more than what is due at the very end of the last look"
        seen |= new
        rig.clock.now += 700

    assert seen == set(ids)


async def test_no_more_is_kept_in_memory_than_is_good(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PAGE", 10)
    monkeypatch.setattr(upkeep, "MOST_AHEAD", 30)
    await make_unheard(rig, 100, planned_at=NOW + 1)

    while await rig.upkeep.look_ahead(NOW):
        pass

    assert len(rig.courier.horizon) == 30


async def test_nodes_look_for_shares_that_together_are_everything(three: list[Rig]) -> None:
    await beat_all(three, 2)
    ids = await make_unheard(three[0], 99, planned_at=NOW + 1)

    found = []
    for rig in three:
        await rig.upkeep.look_ahead(rig.clock())
        found.append(await expected_by(rig))

    assert set.union(*found) == set(ids)
    assert [len(part) for part in found] == [33, 33, 33]


# Sweeping


async def test_what_is_overdue_is_found_by_its_own_node_and_later_by_all(three: list[Rig]) -> None:
    await beat_all(three, 2)
    rig = three[0]
    ids = await make_unheard(rig, 9, planned_at=NOW)

    await rig.upkeep.sweep_overdue(NOW + OVERDUE - 1)
    assert await expected_by(rig) == set()

    for moment in (NOW + OVERDUE, NOW + OVERDUE_OF_ALL - 1):
        await rig.upkeep.sweep_overdue(moment)
        assert await expected_by(rig) == {id for id in ids if id % 3 == rig.courier.share.rank}

    await rig.upkeep.sweep_overdue(NOW + OVERDUE_OF_ALL)
    assert await expected_by(rig) == set(ids)


async def test_what_stands_in_a_lane_is_no_news_to_a_sweep(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a long backlog of a slow route would be read without a pause."""
    monkeypatch.setattr(upkeep, "PAGE", 10)
    rig.transport.hanging.add("hook")
    await rig.make(25, concurrency=1, planned_at=NOW)
    await rig.fire()
    assert len(rig.courier.lanes) == 23

    rounds = [await rig.upkeep.sweep_overdue(NOW + OVERDUE) for _ in range(3)]

    assert rounds == [False, False, False]
    assert await expected_by(rig) == set()


async def test_a_sweep_comes_round_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PAGE", 10)
    ids = await make_unheard(rig, 25, planned_at=NOW)
    now = NOW + OVERDUE

    for _ in range(2):
        rounds = [await rig.upkeep.sweep_overdue(now) for _ in range(3)]
        assert rounds == [True, True, False]
        assert await expected_by(rig) == set(ids)


# Filing


async def test_rows_of_later_days_are_filed_before_their_day_begins_and_fire_in_time(rig: Rig) -> None:
    day = (NOW // DAY + 5) * DAY
    [first] = await rig.make(1, planned_at=day)
    [last] = await rig.make(1, planned_at=day + DAY - 1, prefix="last")
    [later] = await rig.make(1, planned_at=day + DAY, prefix="later")
    await rig.upkeep.file_precisely(day - FILED_EARLY - 1)
    assert await rig.states() == {State.FILED: 3}

    assert not await rig.upkeep.file_precisely(day - FILED_EARLY)
    assert [(await rig.row(id)).state for id in (first, last, later)] == [State.SCHEDULED] * 2 + [State.FILED]

    rig.clock.now = day
    await rig.fire()
    assert rig.transport.at == [day]
    rig.clock.now = day + DAY - 1
    await rig.fire()
    assert rig.transport.at == [day, day + DAY - 1]


async def test_many_are_filed_in_several_steps(rig: Rig) -> None:
    await make_unheard(rig, 2_100, planned_at=NOW + 10 * DAY)

    steps = [await rig.upkeep.file_precisely(NOW + 10 * DAY) for _ in range(3)]

    assert steps == [True, True, False]
    assert await rig.states() == {State.SCHEDULED: 2_100}


# Releasing


async def test_held_rows_go_on_as_far_as_there_is_room_the_longest_held_first(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LONGEST_LANE", 30)
    await rig.make(100, concurrency=1, paused_at=NOW, planned_at=lambda number: NOW - number)
    await rig.fire()
    await rig.database.write(claims.hold, list(range(1, 101)), "held")
    assert await rig.states() == {State.HELD: 100}
    await rig.database.write(targets.pause_target, 1, None, None)

    while (await rig.states())[State.HELD]:
        await rig.upkeep.release_held(NOW)
        states = await rig.states()
        assert states[State.SCHEDULED] <= 31
        await rig.fire()

    assert Counter(rig.transport.jobs) == {f"job{n}": 1 for n in range(100)}


async def test_many_paused_lines_keep_no_open_one_from_going_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MOST_LINES", 3)
    for number in range(8):
        await rig.make(1, f"paused{number}", paused_at=NOW, prefix=f"paused{number}-")
    await rig.make(1, "open", paused_at=NOW, prefix="open")
    await rig.fire()
    await rig.database.write(targets.pause_target, 9, None, None)

    for _ in range(5):
        await rig.upkeep.release_held(NOW)
    await rig.fire()

    assert rig.transport.jobs == ["open0"]


async def test_with_nothing_held_there_is_nothing_to_do(rig: Rig) -> None:
    assert not await rig.upkeep.release_held(NOW)


# Forgetting


async def test_finished_ones_are_kept_as_long_as_settings_say(rig: Rig) -> None:
    await rig.make(2, "good", prefix="good")
    await rig.make(2, "bad", prefix="bad", retries=())
    await rig.make(1, "good", prefix="waiting", planned_at=NOW + DAY)
    rig.transport.status["bad"] = 500
    await rig.fire()

    await rig.upkeep.purge(NOW + 1_000)
    assert await rig.states() == {State.DELIVERED: 2, State.DEAD: 2, State.SCHEDULED: 1}

    await rig.upkeep.purge(NOW + 1_001)
    assert await rig.states() == {State.DEAD: 2, State.SCHEDULED: 1}

    await rig.upkeep.purge(NOW + 40 * DAY)
    assert await rig.states() == {State.SCHEDULED: 1}
    assert await rig.database.read(lambda tx: tx.all("SELECT * FROM attempts")) == []


async def test_many_are_forgotten_in_several_steps(rig: Rig) -> None:
    ids = await make_unheard(rig, 1_100)
    held = await claim_as(rig, "one", ids, NOW + MINUTE)
    await rig.database.write(claims.settle, [(one, Verdict(State.DELIVERED, NOW, None)) for one in held])
    await rig.database.write(claims.log_attempts, "one", [(one, Outcome(NOW, 1, Result.DONE, 200)) for one in held])

    steps = [await rig.upkeep.purge(NOW + HOUR) for _ in range(3)]

    assert steps == [True, True, False]
    assert await rig.states() == {}


async def test_the_mark_of_an_installation_is_made_once(rig: Rig) -> None:
    marks = [await rig.database.write(upkeep.installation_mark, fresh) for fresh in ("first", "second", "third")]

    assert marks == ["first"] * 3


async def test_a_loop_of_all_steps_brings_everything_home(rig: Rig) -> None:
    """However a row came to be where it is."""
    await rig.make(3, planned_at=NOW + 30 * DAY, prefix="filed")
    await claim_as(rig, "dead-node", await make_unheard(rig, 3, prefix="claimed"), NOW + MINUTE)
    await make_unheard(rig, 3, planned_at=NOW - HOUR, prefix="overdue")
    held = await make_unheard(rig, 3, prefix="held")
    await rig.database.write(claims.hold, held, "held")

    for now in (NOW + HOUR, NOW + 30 * DAY, NOW + 31 * DAY):
        rig.clock.now = now
        for step in (
            rig.upkeep.file_precisely,
            rig.upkeep.reclaim_expired,
            rig.upkeep.release_held,
            rig.upkeep.sweep_overdue,
        ):
            while await step(now):
                pass
        await rig.fire()

    assert await rig.states() == {State.DELIVERED: 12}
    assert set(Counter(rig.transport.jobs).values()) == {1}
