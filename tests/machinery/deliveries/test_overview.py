"""What people see of all deliveries: the right ones, in order, only theirs, and at a cost that does not grow."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from undercroft.app.assembly import all_migrations
from undercroft.base.clock import DAY, HOUR
from undercroft.database import Transaction, open_database
from undercroft.database.migrate import migrate
from undercroft.database.sqlite import SqliteTransaction
from undercroft.machinery.deliveries import overview, store, targets
from undercroft.machinery.deliveries.model import NewDelivery, State, TargetSettings
from undercroft.machinery.deliveries.overview import LOOKED_AT, Places, Sight

NOW = 1_800_000_000_000
SHOP: Places = (("timers", "shop"),)


def run_on(url: str, action: Callable[[Transaction], Any]) -> Any:
    """The action's result on a database with every table and nothing in it."""

    async def run() -> Any:
        database = await open_database(url, all_migrations(), lambda: NOW)
        try:
            return await database.write(action)
        finally:
            await database.close()

    return asyncio.run(run())


def put_in(tx: Transaction, place: str, names: dict[str, int], **changes: object) -> None:
    """`place`: family/namespace/queue, whose target is `hook`; `names`: name → planned_at; `changes` of each row."""
    family, namespace, queue = place.split("/")
    settings = TargetSettings()
    if targets.find_target(tx, family, namespace, "hook") is None:
        targets.put_target(
            tx, (family, namespace, "hook"), "webhook", settings, concurrency=1, rate=None, paused_at=None, now=NOW
        )
    target = targets.find_target(tx, family, namespace, "hook")
    assert target is not None
    line = targets.queue_id(tx, family, namespace, queue, NOW)
    new = [NewDelivery(line, name, target.id, planned_at, '{"of": 1}') for name, planned_at in names.items()]
    ids = list(store.insert(tx, new, NOW).values())
    if changes:
        words = ", ".join(f"{name} = :{name}" for name in changes)
        for id in ids:
            tx.run(f"UPDATE deliveries SET {words} WHERE id = :id", id=id, **changes)


def names(sight: Sight) -> list[str]:
    return [seen.name for seen in sight.rows]


def test_soonest_first_across_families(database_url: str) -> None:
    def look(tx: Transaction) -> tuple[Sight, Sight]:
        put_in(tx, "timers/shop/carts", {"third": NOW + 3, "first": NOW + 1})
        put_in(tx, "mail/news/weekly", {"second": NOW + 2, "fourth": NOW + 4})
        return overview.first(tx, State.SCHEDULED, None, 3), overview.first(tx, State.SCHEDULED, None, 4)

    three, all_four = run_on(database_url, look)

    assert names(three) == ["first", "second", "third"]
    assert three.more
    assert names(all_four)[3:] == ["fourth"]
    assert not all_four.more
    seen = three.rows[1]
    assert (seen.family, seen.namespace, seen.queue, seen.target) == ("mail", "news", "weekly", "hook")


def test_later_days_by_their_moment(database_url: str) -> None:
    def look(tx: Transaction) -> Sight:
        put_in(tx, "timers/shop/carts", {"evening": NOW + 3 * DAY + HOUR, "next week": NOW + 9 * DAY})
        put_in(tx, "timers/shop/games", {"morning": NOW + 3 * DAY})
        return overview.filed(tx, None, 3)

    sight = run_on(database_url, look)

    assert names(sight) == ["morning", "evening", "next week"]
    assert sight.exact


def test_a_day_with_too_many_to_sort_says_so(database_url: str) -> None:
    def look(tx: Transaction) -> Sight:
        put_in(tx, "timers/shop/carts", {f"{n}": NOW + 3 * DAY + n for n in range(LOOKED_AT + 1)})
        return overview.filed(tx, None, 5)

    sight = run_on(database_url, look)

    assert len(sight.rows) == 5
    assert sight.more
    assert not sight.exact


def test_the_last_to_die_comes_first(database_url: str) -> None:
    def look(tx: Transaction) -> Sight:
        for died_at in (30, 10, 20):
            put_in(tx, "timers/shop/carts", {f"died {died_at}": NOW}, state=5, due_at=died_at, reason="no answer")
        return overview.newest(tx, State.DEAD, None, 2)

    sight = run_on(database_url, look)

    assert names(sight) == ["died 30", "died 20"]
    assert sight.rows[0].reason == "no answer"


def test_retrying_are_those_that_failed_and_wait(database_url: str) -> None:
    def look(tx: Transaction) -> Sight:
        put_in(tx, "timers/shop/carts", {"fresh": NOW + 1})
        put_in(tx, "timers/shop/carts", {"late": NOW}, attempts=2, due_at=NOW + 9, reason="answered 500")
        put_in(tx, "timers/shop/carts", {"soon": NOW}, attempts=1, due_at=NOW + 5)
        put_in(tx, "timers/shop/carts", {"dead": NOW}, attempts=9, state=5)
        return overview.retrying(tx, None, 9)

    assert names(run_on(database_url, look)) == ["soon", "late"]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (None, {"a", "b", "c"}),
        (SHOP, {"a"}),
        ((("timers", None),), {"a", "b"}),
        ((("timers", "shop"), ("mail", "shop")), {"a", "c"}),
        ((("mail", "game"),), set()),
        ((), set()),
    ],
)
def test_everybody_sees_their_own_only(database_url: str, places: Places | None, expected: set[str]) -> None:
    def look(tx: Transaction) -> list[set[str]]:
        for place, name in (("timers/shop/q", "a"), ("timers/game/q", "b"), ("mail/shop/q", "c")):
            put_in(tx, place, {name: NOW + 1})
            put_in(tx, place, {f"{name} later": NOW + 5 * DAY})
            put_in(tx, place, {f"{name} dead": NOW}, state=5)
            put_in(tx, place, {f"{name} sent": NOW}, state=2)
            put_in(tx, place, {f"{name} again": NOW}, attempts=1)
        tx.run("UPDATE targets SET paused_at = 1")
        tx.run("UPDATE queues SET paused_at = 1")
        sights = [
            overview.first(tx, State.SCHEDULED, places, 9),
            overview.filed(tx, places, 9),
            overview.newest(tx, State.DEAD, places, 9),
            overview.first(tx, State.SENDING, places, 9),
            overview.retrying(tx, places, 9),
        ]
        paused = [*overview.paused_targets(tx, places, 9), *overview.paused_queues(tx, places, 9)]
        letters = {("timers", "shop"): "a", ("timers", "game"): "b", ("mail", "shop"): "c"}
        return [{name[0] for name in names(sight)} for sight in sights] + [
            {letters[one.family, one.namespace] for one in paused}
        ]

    assert run_on(database_url, look) == [expected] * 6


def test_a_small_part_is_found_behind_a_crowd(database_url: str) -> None:
    """More of others' are due, filed and dead before one's own than are looked at."""

    def look(tx: Transaction) -> list[Sight]:
        crowd = range(LOOKED_AT + 10)
        put_in(tx, "timers/crowd/q", {f"due {n}": NOW + n for n in crowd})
        put_in(tx, "timers/crowd/q", {f"filed {n}": NOW + 3 * DAY for n in crowd})
        put_in(tx, "timers/crowd/q", {f"dead {n}": NOW for n in crowd})
        tx.run("UPDATE deliveries SET state = 5, due_at = :now WHERE name LIKE :dead", now=NOW, dead="dead%")
        put_in(tx, "timers/shop/carts", {"mine second": NOW + HOUR + 1})
        put_in(tx, "timers/shop/games", {"mine first": NOW + HOUR, "mine later": NOW + 5 * DAY})
        put_in(tx, "timers/shop/games", {"mine dead": NOW}, state=5, due_at=NOW - HOUR)
        return [
            overview.first(tx, State.SCHEDULED, SHOP, 9),
            overview.filed(tx, SHOP, 9),
            overview.newest(tx, State.DEAD, SHOP, 9),
        ]

    due, filed, dead = run_on(database_url, look)

    assert names(due) == ["mine first", "mine second"]
    assert names(filed) == ["mine later"]
    assert names(dead) == ["mine dead"]
    assert due.exact
    assert filed.exact
    assert dead.exact


def test_paused_ones_and_what_waits_there(database_url: str) -> None:
    def look(tx: Transaction) -> tuple[Any, Any]:
        put_in(tx, "timers/shop/carts", {"a": NOW, "b": NOW}, state=3)
        put_in(tx, "timers/game/turns", {"c": NOW})
        for id in tx.all("SELECT id FROM targets WHERE namespace = 'shop'"):
            targets.pause_target(tx, id[0], NOW, "the receiver answered 410 Gone")
        queue = targets.find_queue(tx, "timers", "game", "turns")
        assert queue is not None
        targets.pause_queue(tx, queue.id, NOW)
        return overview.paused_targets(tx, None, 9), overview.paused_queues(tx, None, 9)

    [target], [queue] = run_on(database_url, look)

    assert (target.namespace, target.name, target.waiting) == ("shop", "hook", 2)
    assert target.reason == "the receiver answered 410 Gone"
    assert (queue.namespace, queue.name, queue.waiting) == ("game", "turns", 0)


def test_one_delivery_closely(database_url: str) -> None:
    def look(tx: Transaction) -> Any:
        put_in(tx, "timers/shop/carts", {"a": NOW}, body="x" * 100, attempts=3)
        [(id,)] = tx.all("SELECT id FROM deliveries")
        for number in (1, 2, 3):
            tx.run(
                "INSERT INTO attempts (delivery, number, node, started_at, took_ms, status)"
                " VALUES (:id, :number, 'n', 1, 2, 500)",
                id=id,
                number=number,
            )
        seen = overview.find(tx, id)
        assert seen is not None
        assert overview.find(tx, id + 1) is None
        return overview.look_closely(tx, seen, 10, 2)

    closely = run_on(database_url, look)

    assert (closely.body, closely.size) == ("x" * 10, 100)
    assert [attempt.number for attempt in closely.attempts] == [3, 2]


def test_the_cost_does_not_grow_with_what_is_stored(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, the same for four times as many rows."""
    connection = apsw.Connection(str(tmp_path / "steps.db"))
    tx = SqliteTransaction(connection)
    migrate(tx, all_migrations(), NOW)
    steps = 0

    def count_step() -> bool:
        nonlocal steps
        steps += 1
        return False

    def fill(times: int) -> None:
        with connection:
            for place, start in (("timers/shop/carts", NOW + HOUR), ("timers/crowd/q", NOW)):
                put_in(tx, place, {f"{n}/{times}": start + n for n in range(6 * times)})
            tx.run("UPDATE deliveries SET state = id % 6 WHERE name LIKE :like", like=f"%/{times}")

    def cost(places: Places | None) -> int:
        nonlocal steps
        steps = 0
        connection.set_progress_handler(count_step, 1)
        overview.filed(tx, places, 20)
        overview.first(tx, State.SCHEDULED, places, 20)
        overview.first(tx, State.SENDING, places, 20)
        overview.newest(tx, State.DEAD, places, 20)
        overview.retrying(tx, places, 20)
        overview.count(tx, State.DEAD)
        overview.paused_targets(tx, places, 20)
        overview.paused_queues(tx, places, 20)
        connection.set_progress_handler(None, 1)
        return steps

    fill(LOOKED_AT + 1)
    few = [cost(None), cost(SHOP)]
    fill(3 * LOOKED_AT)
    many = [cost(None), cost(SHOP)]

    assert all(after <= 1.1 * before for before, after in zip(few, many, strict=True)), (few, many)
