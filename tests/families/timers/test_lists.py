"""Lists: whatever is asked for, in pages of whatever size, every matching job is there exactly once."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.engines import Engine
from tests.families.timers.shop import Shop, opened
from tests.machinery.deliveries.making import FAMILY, NOW, make_queue, make_target
from tests.services.postgres import Postgres
from undercroft.base.clock import DAY, HOUR
from undercroft.machinery.deliveries import listing, store
from undercroft.machinery.deliveries.model import NewDelivery, State, filing, public_state

JOBS = 400
ROUTES = ("hook", "other", "third")
QUEUES = ("orders", "carts")


class Job(NamedTuple):
    """A job as it was put in."""

    name: str
    queue: str
    route: str
    planned_at: int
    state: str
    died_at: int


class Stored(NamedTuple):
    runner: asyncio.Runner
    shop: Shop
    jobs: list[Job]

    def get(self, path: str) -> Any:
        return self.runner.run(self.shop.call("GET", path)).json

    def pages(self, path: str, limit: int) -> Iterator[list[dict[str, Any]]]:
        cursor = ""
        while True:
            page = self.get(f"{path}&limit={limit}{cursor}")
            assert len(page["jobs"]) <= limit
            yield page["jobs"]
            if page["cursor"] is None:
                return
            cursor = f"&cursor={page['cursor']}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('lists')}/undercroft.db"
    else:
        cluster: Postgres = request.getfixturevalue("postgres_cluster")
        cluster.start()
        url = cluster.create_database()
    with asyncio.Runner() as runner:
        opening = opened(url)
        shop = runner.run(opening.__aenter__())
        yield Stored(runner, shop, _fill(url))
        runner.run(opening.__aexit__(None, None, None))


def _fill(url: str) -> list[Job]:
    """Jobs in every state, some of them at the very same moment."""
    rng = random.Random(7)
    engine = Engine(url)
    jobs = []
    with engine.transaction() as tx:
        targets = {name: make_target(tx, name).id for name in ROUTES}
        queues = {name: make_queue(tx, name) for name in QUEUES}
        for number in range(JOBS):
            queue, route = rng.choice(QUEUES), rng.choice(ROUTES)
            planned_at = NOW + rng.choice([0, 0, HOUR, DAY]) + rng.randrange(-20, 30) * DAY // 4
            [id] = store.insert(
                tx, [NewDelivery(queues[queue], f"j{number}", targets[route], planned_at, "{}")], NOW
            ).values()
            state, attempts = _some_state(rng, planned_at)
            died_at = NOW + number
            tx.run(
                "UPDATE deliveries SET state = :state, attempts = :attempts, due_at = :due_at WHERE id = :id",
                id=id,
                state=int(state),
                attempts=attempts,
                due_at=died_at if state >= State.DELIVERED else filing(planned_at, NOW)[1],
            )
            jobs.append(Job(f"j{number}", queue, route, planned_at, public_state(state, attempts), died_at))
    engine.close()
    return jobs


def _some_state(rng: random.Random, planned_at: int) -> tuple[State, int]:
    tries = {State.SCHEDULED: rng.choice([0, 2]), State.SENDING: 1, State.HELD: 0, State.DELIVERED: 1, State.DEAD: 9}
    state, attempts = rng.choice(list(tries.items()))
    if state is State.SCHEDULED and not attempts:
        return filing(planned_at, NOW)[0], 0
    return state, attempts


moments = st.none() | st.sampled_from([NOW - 5 * DAY, NOW, NOW + 1, NOW + DAY, NOW + 6 * DAY + HOUR])
states = st.sampled_from([None, "scheduled", "retrying", "sending", "held", "delivered", "dead", "pending"])
some = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@some
@given(
    state=states,
    after=moments,
    before=moments,
    route=st.sampled_from([None, *ROUTES, "nowhere"]),
    queue=st.sampled_from([*QUEUES, "empty"]),
    limit=st.sampled_from([1, 2, 7, 50, 399, 1_000]),
)
def test_every_job_that_matches_is_listed_once(
    stored: Stored, state: str | None, after: int | None, before: int | None, route: str | None, queue: str, limit: int
) -> None:
    filters = {"state": state, "after": after, "before": before, "route": route}
    query = "&".join(f"{name}={value}" for name, value in filters.items() if value is not None)

    pages = list(stored.pages(f"/job/shop/{queue}?{query}", max(limit, 20)))

    listed = [job["id"] for page in pages for job in page]
    expected = {
        job.name: job
        for job in stored.jobs
        if job.queue == queue
        and (state is None or job.state == state or (state == "pending" and job.state not in ("delivered", "dead")))
        and (after is None or job.planned_at >= after)
        and (before is None or job.planned_at < before)
        and (route is None or job.route == route)
    }
    assert sorted(listed) == sorted(expected)
    days = [expected[id].planned_at // DAY for id in listed]
    assert days == sorted(days)
    for job in (job for page in pages for job in page):
        known = expected[job["id"]]
        assert (job["state"], job["route"], job["trigger_time"]) == (known.state, known.route, known.planned_at)


@some
@given(
    route=st.sampled_from([None, *ROUTES, "nowhere"]),
    collection=st.sampled_from([None, *QUEUES, "empty"]),
    limit=st.sampled_from([1, 3, 10, 1_000]),
)
def test_every_dead_letter_is_listed_once(
    stored: Stored, route: str | None, collection: str | None, limit: int
) -> None:
    filters = {"route": route, "collection": collection}
    query = "&".join(f"{name}={value}" for name, value in filters.items() if value is not None)

    listed = [letter for page in stored.pages(f"/dead/shop?{query}", limit) for letter in page]

    expected = {
        (job.queue, job.name): job
        for job in stored.jobs
        if job.state == "dead" and route in (None, job.route) and collection in (None, job.queue)
    }
    assert sorted((letter["collection"], letter["id"]) for letter in listed) == sorted(expected)
    for letter in listed:
        known = expected[letter["collection"], letter["id"]]
        assert (letter["died_at"], letter["route"], letter["attempts"]) == (known.died_at, known.route, 9)


def test_pages_end_where_the_jobs_do(stored: Stored) -> None:
    """Also where the last page is full to the brim."""
    for queue in QUEUES:
        count = sum(job.queue == queue for job in stored.jobs)
        for limit in (count - 1, count, count + 1):
            pages = list(stored.pages(f"/job/shop/{queue}?", limit))
            assert [len(page) for page in pages if page] == ([limit, count - limit] if limit < count else [count])
            assert len(pages) <= 2


def test_a_page_of_a_narrow_filter_looks_at_a_bounded_number(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be empty and not the last; following its cursors leads to all of them."""
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 20)

    pages = list(stored.pages("/job/shop/orders?route=third", 5))

    assert sorted(job["id"] for page in pages for job in page) == sorted(
        job.name for job in stored.jobs if job.queue == "orders" and job.route == "third"
    )
    assert len(pages) > 5


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "1.x", "9" * 40 + ".1", "-", "1.2\n", "١.٢"])
def test_cursors_that_are_not_ours(stored: Stored, cursor: str) -> None:
    assert stored.get(f"/job/shop/orders?cursor={quote(cursor)}")["code"] == "E023"


def test_lists_of_another_db_are_empty(stored: Stored) -> None:
    assert stored.get("/job/elsewhere/orders") == {"jobs": [], "cursor": None}
    assert stored.get("/dead/elsewhere") == {"jobs": [], "cursor": None}
    assert stored.get("/route/elsewhere") == {"routes": [], "cursor": None}
    assert FAMILY == "timers"


@pytest.mark.anyio
async def test_what_is_selected_is_deleted_and_moved_and_nothing_else(shop: Shop) -> None:
    await shop.route("other")
    for number in range(30):
        await shop.post(f"a{number}", NOW + number * HOUR)
        await shop.post(f"b{number}", NOW + number * HOUR, route="other")

    answer = (await shop.call("DELETE", f"/job/shop/orders?route=other&before={NOW + 10 * HOUR}")).json
    assert answer == {"status": "ok", "deleted": 10, "in_flight": 0}
    answer = (
        await shop.call("PATCH", f"/job/shop/orders?route=hook&after={NOW + 25 * HOUR}", {"shift_ms": 5 * HOUR})
    ).json
    assert answer == {"status": "ok", "moved": 5}

    left = {job["id"]: job["trigger_time"] for job in await shop.listed()}
    assert set(left) == {f"a{n}" for n in range(30)} | {f"b{n}" for n in range(10, 30)}
    for name, trigger_time in left.items():
        number = int(name[1:])
        shifted = 5 if name[0] == "a" and number >= 25 else 0
        assert trigger_time == NOW + (number + shifted) * HOUR

    assert (await shop.call("DELETE", "/job/shop/orders")).code == "E025"
    assert (await shop.call("PATCH", "/job/shop/orders?all=1", {"trigger_time": NOW})).json["moved"] == 50
    await shop.fire()
    assert len(shop.transport.sent) == 50


@pytest.mark.anyio
async def test_more_than_one_turn_is_deleted_and_moved(shop: Shop) -> None:
    bulk = [{"id": f"j{number}", "trigger_time": NOW + HOUR, "route": "hook"} for number in range(1_201)]
    assert (await shop.call("POST", "/job/shop/orders", bulk)).json["created"] == 1_201

    assert (await shop.call("PATCH", "/job/shop/orders?all=1", {"shift_ms": DAY * 5})).json["moved"] == 1_201
    assert await shop.states() == {State.FILED: 1_201}
    assert (await shop.call("DELETE", "/job/shop/orders?state=scheduled")).json["deleted"] == 1_201
    assert await shop.states() == {}
