"""A delivery's life against a plain model, with two couriers and a clock that is set forward and back.

Never lost, never early, never after a delete that succeeded, never in two hands, delivered only by 2xx; and who comes
too late changes nothing.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.database.engines import Engine
from tests.machinery.deliveries.making import FAMILY, NOW, answered, make_queue, make_target
from undercroft.base.clock import DAY, HOUR, MINUTE, SECOND
from undercroft.machinery.deliveries import actions, claims, store, targets
from undercroft.machinery.deliveries.claims import Share
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.model import Delivery, NewDelivery, Outcome, State, filing
from undercroft.machinery.deliveries.policy import DEFAULT_RETRIES

NODES = ("north", "south")
LEASE = 5 * MINUTE
HOOKS = {FAMILY: Hooks()}
RETRIES = (1.0, 30.0)
# From long ago to later than any row is filed precisely for.
moments = st.sampled_from([-DAY, -SECOND, 0, 1, 10 * SECOND, HOUR, 25 * HOUR, 27 * HOUR, 3 * DAY, 40 * DAY])
steps = st.sampled_from([1, 1_500, 6 * SECOND, MINUTE, 6 * MINUTE, 2 * HOUR, 26 * HOUR, 5 * DAY])
some = st.lists(st.integers(0, 30), min_size=1, max_size=6)


@dataclass
class Row:
    """What a row should be."""

    name: str
    state: State
    due_at: int
    not_before: int
    """The moment that was asked for, or the end of the pause after a failure."""
    revision: int = 1
    claims: int = 0
    attempts: int = 0
    holder: str | None = None
    answers: list[int] = field(default_factory=list)


class Lives(RuleBasedStateMachine):
    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.now = NOW
        self.rows: dict[int, Row] = {}
        self.gone: set[int] = set()
        self.in_hands: dict[int, Delivery] = {}
        self.too_late: list[tuple[Delivery, str]] = []
        self.made = 0
        self.lease_until = 0
        self.paused = {"target": False, "queue": False, "removed": False}
        with engine.transaction() as tx:
            for table in ("deliveries", "attempts", "targets", "queues"):
                tx.run(f"DELETE FROM {table}")
            self.target = make_target(tx, retries=RETRIES)
            self.queue = make_queue(tx)

    # What people do

    @rule(offsets=st.lists(moments, min_size=1, max_size=5))
    def create(self, offsets: list[int]) -> None:
        new = []
        for offset in offsets:
            self.made += 1
            new.append(NewDelivery(self.queue, f"job{self.made}", self.target.id, self.now + offset, "{}"))
        with self.engine.transaction() as tx:
            made = store.insert(tx, new, self.now)
        for one in new:
            state, due_at = filing(one.planned_at, self.now)
            self.rows[made[self.queue, one.name, None]] = Row(one.name, state, due_at, one.planned_at)
        assert len(made) == len(new)

    @rule(which=some, offset=moments)
    def move(self, which: list[int], offset: int) -> None:
        chosen = self.choose(which)
        to = self.now + offset
        with self.engine.transaction() as tx:
            moved = store.move(tx, [((id, row.revision, int(row.state)), to) for id, row in chosen.items()], self.now)
        assert moved == {id for id, row in chosen.items() if row.state is not State.SENDING}
        for id in moved:
            row = self.rows[id]
            row.state, row.due_at = filing(to, self.now)
            row.not_before, row.attempts, row.revision = to, 0, row.revision + 1

    @rule(which=some, offset=moments)
    def move_what_began_another_life(self, which: list[int], offset: int) -> None:
        chosen = self.choose(which)
        with self.engine.transaction() as tx:
            seen = [((id, row.revision - 1, int(row.state)), self.now + offset) for id, row in chosen.items()]
            assert store.move(tx, seen, self.now) == set()
            assert store.delete(tx, [row for row, _ in seen]) == set()

    @rule(which=some, offset=moments)
    def replace(self, which: list[int], offset: int) -> None:
        id, row = next(iter(self.choose(which).items()))
        new = NewDelivery(self.queue, row.name, self.target.id, self.now + offset, '{"new": true}')
        with self.engine.transaction() as tx:
            known = store.find_one(tx, self.queue, row.name)
            assert known is not None
            replaced = store.replace(tx, known, new, self.now)
        assert replaced == (row.state is not State.SENDING)
        if replaced:
            row.state, row.due_at = filing(new.planned_at, self.now)
            row.not_before, row.attempts, row.revision = new.planned_at, 0, row.revision + 1
        assert id in self.rows

    @rule(which=some)
    def delete(self, which: list[int]) -> None:
        chosen = self.choose(which)
        with self.engine.transaction() as tx:
            gone = store.delete(tx, [(id, row.revision, int(row.state)) for id, row in chosen.items()])
        assert gone == {id for id, row in chosen.items() if row.state is not State.SENDING}
        for id in gone:
            del self.rows[id]
        self.gone |= gone

    @rule(what=st.sampled_from(["target", "queue"]), paused=st.booleans())
    def pause(self, what: str, paused: bool) -> None:
        moment = self.now if paused else None
        with self.engine.transaction() as tx:
            if what == "target":
                targets.pause_target(tx, self.target.id, moment, None)
            else:
                targets.pause_queue(tx, self.queue, moment)
        self.paused[what] = paused

    @rule()
    def remove_or_make_the_target_again(self) -> None:
        with self.engine.transaction() as tx:
            if self.paused["removed"]:
                make_target(tx, retries=RETRIES)
                self.paused["target"] = False
            else:
                targets.remove_target(tx, self.target.id, self.now)
        self.paused["removed"] = not self.paused["removed"]

    @rule(which=some)
    def replay(self, which: list[int]) -> None:
        chosen = self.choose(which)
        with self.engine.transaction() as tx:
            replayed = store.replay(tx, list(chosen), self.now)
        dead = [row for row in chosen.values() if row.state is State.DEAD]
        assert replayed == len(dead)
        for row in dead:
            row.state, row.due_at, row.not_before, row.attempts = State.SCHEDULED, self.now, self.now, 0

    # What couriers do

    @rule(node=st.sampled_from(NODES), which=some)
    def claim_some(self, node: str, which: list[int]) -> None:
        """Hints may be of anything: rows that are gone, not due, in other hands."""
        self.claim(node, [*self.choose(which), *sorted(self.gone)[:3], 10**9])

    @rule(node=st.sampled_from(NODES))
    def claim_what_is_due(self, node: str) -> None:
        with self.engine.transaction() as tx:
            due = claims.falling_due(tx, (0, 0), self.now, Share(), 1_000)
        expected = [(row.due_at, id) for id, row in self.rows.items() if self.is_due(row)]
        assert [entry[:2] for entry in due] == sorted(expected)
        self.claim(node, [id for _, id, _ in due])

    def claim(self, node: str, ids: list[int]) -> None:
        self.lease_until = lease_until = max(self.now + LEASE, self.lease_until + 1)  # each claim has its own
        with self.engine.transaction() as tx:
            claimed = actions.claim_due(tx, ids, node, lease_until, self.now, HOOKS)
        got = {delivery.id: delivery for delivery in claimed.deliveries}
        due = {id for id in ids if id in self.rows and self.is_due(self.rows[id])}
        hindered = any(self.paused.values())
        assert set(got) == (set() if hindered else due)
        for id in due:
            row = self.rows[id]
            row.claims += 1
            assert self.now >= row.not_before, "sent before it was due"
            assert id not in self.in_hands, "in two hands at once"
            if hindered:
                row.state = State.DEAD if self.paused["removed"] else State.HELD
                row.due_at = self.now
            else:
                row.state, row.due_at, row.holder = State.SENDING, lease_until, node
                self.in_hands[id] = got[id]
                assert (got[id].claims, got[id].attempts, got[id].revision) == (row.claims, row.attempts, row.revision)

    @rule(node=st.sampled_from(NODES), which=some)
    def claim_again_what_was_claimed_without_an_answer(self, node: str, which: list[int]) -> None:
        """The commit was made, the connection broke: the same claim runs once more, and has what it had."""
        chosen = [id for id in self.choose(which) if self.is_due(self.rows[id])]
        assume(chosen and not any(self.paused.values()))
        self.claim(node, chosen)
        with self.engine.transaction() as tx:
            again = claims.claim(tx, chosen, node, self.now, self.lease_until)
        assert {delivery.id for delivery in again} == set(chosen)
        for delivery in again:
            self.too_late.append((self.in_hands[delivery.id], node))
            self.in_hands[delivery.id] = delivery
            self.rows[delivery.id].claims += 1

    @rule(which=some, status=st.sampled_from([200, 204, 301, 404, 410, 500, None]))
    def settle(self, which: list[int], status: int | None) -> None:
        under_way = [self.in_hands[id] for id in self.choose(which) if id in self.in_hands]
        assume(under_way)
        node = self.rows[under_way[0].id].holder
        assert node is not None
        outcome = answered(status, now=self.now)
        settled = self.settle_as(node, [(delivery, outcome) for delivery in under_way])
        assert settled == {delivery.id for delivery in under_way}
        for delivery in under_way:
            self.settle_in_model(delivery.id, status)
            del self.in_hands[delivery.id]
            self.too_late.append((delivery, node))

    def settle_in_model(self, id: int, status: int | None) -> None:
        row = self.rows[id]
        row.attempts += 1
        row.answers.append(status or 0)
        row.holder = None
        if status in (200, 204):
            row.state, row.due_at = State.DELIVERED, self.now
        elif status == 410 or row.attempts > len(RETRIES):
            row.state, row.due_at = State.DEAD, self.now
            self.paused["target"] = self.paused["target"] or status == 410
        else:
            row.state = State.SCHEDULED
            row.due_at = self.stored(id)[1]  # there is jitter in it
            row.not_before = row.due_at
            assert row.due_at - self.now >= RETRIES[row.attempts - 1] * SECOND

    @rule(pick=st.integers(0, 1_000), status=st.sampled_from([200, 500, 410]))
    def settle_too_late(self, pick: int, status: int) -> None:
        """Whose claim is no longer his: settled, taken back, or begun again by somebody else."""
        assume(self.too_late)
        delivery, node = self.too_late[pick % len(self.too_late)]
        before = self.everything()
        assert self.settle_as(node, [(delivery, answered(status, now=self.now))]) == set()
        with self.engine.transaction() as tx:
            claims.put_back(tx, [delivery], State.SCHEDULED, self.now, None)
        assert self.everything() == before

    @rule(which=some)
    def give_back(self, which: list[int]) -> None:
        under_way = [self.in_hands[id] for id in self.choose(which) if id in self.in_hands]
        with self.engine.transaction() as tx:
            claims.put_back(tx, under_way, State.SCHEDULED, self.now, None)
        for delivery in under_way:
            self.take_out_of_hands(delivery.id, self.now)

    @rule(which=some)
    def hold(self, which: list[int]) -> None:
        chosen = self.choose(which)
        with self.engine.transaction() as tx:
            held = claims.hold(tx, list(chosen), "too much")
        scheduled = [row for row in chosen.values() if row.state is State.SCHEDULED]
        assert held == len(scheduled)
        for row in scheduled:
            row.state = State.HELD

    # What upkeep does

    @rule(node=st.sampled_from(NODES))
    def reclaim_expired(self, node: str) -> None:
        with self.engine.transaction() as tx:
            count = claims.reclaim_expired(tx, node, self.now, 1_000)
        expired = [
            id
            for id, row in self.rows.items()
            if row.state is State.SENDING and row.holder != node and row.due_at <= self.now
        ]
        assert count == len(expired)
        for id in expired:
            self.take_out_of_hands(id, self.now)

    @rule(node=st.sampled_from(NODES))
    def restart(self, node: str) -> None:
        with self.engine.transaction() as tx:
            count = claims.reclaim_of(tx, node, self.now, 1_000)
        theirs = [id for id, row in self.rows.items() if row.holder == node]
        assert count == len(theirs)
        for id in theirs:
            self.take_out_of_hands(id, self.now)

    def take_out_of_hands(self, id: int, due_at: int) -> None:
        row = self.rows[id]
        assert row.holder is not None
        self.too_late.append((self.in_hands.pop(id), row.holder))
        row.state, row.due_at, row.holder = State.SCHEDULED, due_at, None

    @rule()
    def file_precisely(self) -> None:
        with self.engine.transaction() as tx:
            count = claims.file_precisely(tx, self.now, 1_000)
        near = [row for row in self.rows.values() if row.state is State.FILED and row.due_at <= self.now]
        assert count == len(near)
        for row in near:
            row.state, row.due_at = State.SCHEDULED, row.not_before

    @rule()
    def release_held(self) -> None:
        with self.engine.transaction() as tx:
            lines = claims.held_lines(tx, (-1, -1), 100)
            count = actions.release_lines(tx, [(*line, 1_000) for line in lines])
        held = [row for row in self.rows.values() if row.state is State.HELD]
        assert lines == ([(self.target.id, self.queue)] if held else [])
        open_again = self.paused["removed"] or not (self.paused["target"] or self.paused["queue"])
        assert count == (len(held) if open_again else 0)
        for row in held if open_again else []:
            row.state = State.SCHEDULED

    @rule(age=steps)
    def purge(self, age: int) -> None:
        before = self.now - age
        with self.engine.transaction() as tx:
            count = store.purge(tx, State.DELIVERED, before, 1_000)
        old = [id for id, row in self.rows.items() if row.state is State.DELIVERED and row.due_at < before]
        assert count == len(old)
        for id in old:
            del self.rows[id]
        self.gone |= set(old)

    @rule(step=steps)
    def clock_goes_on(self, step: int) -> None:
        self.now += step

    @rule(step=steps)
    def clock_is_set_back(self, step: int) -> None:
        self.now -= step

    # What must always be so

    @invariant()
    def the_database_holds_what_it_should(self) -> None:
        found = self.everything()
        assert {id: row[:5] for id, row in found.items()} == {
            id: (int(row.state), row.due_at, row.claims, row.attempts, row.revision) for id, row in self.rows.items()
        }
        for id, row in self.rows.items():
            assert found[id][5] == (row.holder if row.state is State.SENDING else found[id][5])

    @invariant()
    def delivered_is_what_was_answered_so(self) -> None:
        for row in self.rows.values():
            if row.state is State.DELIVERED:
                assert row.answers[-1] in (200, 204)

    def teardown(self) -> None:
        """In the end everything that waits can be delivered."""
        self.now = max([self.now, *(row.not_before for row in self.rows.values())]) + 2 * DAY
        for node in NODES:
            self.restart(node)
        if self.paused["removed"]:
            self.remove_or_make_the_target_again()
        self.pause("target", False)
        self.pause("queue", False)
        self.release_held()
        self.file_precisely()
        self.claim_what_is_due("north")
        ended = {State.DELIVERED, State.DEAD}
        assert set(self.in_hands) == {id for id, row in self.rows.items() if row.state not in ended}

    # Parts

    def choose(self, which: list[int]) -> dict[int, Row]:
        ids = sorted(self.rows)
        assume(ids)
        return {ids[number % len(ids)]: self.rows[ids[number % len(ids)]] for number in which}

    def is_due(self, row: Row) -> bool:
        return row.state is State.SCHEDULED and row.due_at <= self.now

    def settle_as(self, node: str, tried: list[tuple[Delivery, Outcome]]) -> set[int]:
        with self.engine.transaction() as tx:
            settled = actions.settle_tried(
                tx, [(delivery, self.target, FAMILY, outcome) for delivery, outcome in tried], node, self.now, HOOKS
            )
        return {one.delivery.id for one in settled}

    def everything(self) -> dict[int, tuple[Any, ...]]:
        rows = self.engine.rows("SELECT id, state, due_at, claims, attempts, revision, claimed_by FROM deliveries")
        return {row[0]: row[1:] for row in rows}

    def stored(self, id: int) -> tuple[Any, ...]:
        return self.everything()[id]


def test_on_sqlite(sqlite_engine: Engine) -> None:
    _run(sqlite_engine, examples=80, length=40)


def test_on_postgres(postgres_engine: Engine) -> None:
    _run(postgres_engine, examples=12, length=30)


def _run(engine: Engine, *, examples: int, length: int) -> None:
    assert DEFAULT_RETRIES != RETRIES
    run_state_machine_as_test(
        lambda: Lives(engine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=length,
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
    )


@pytest.fixture
def sqlite_engine(request: pytest.FixtureRequest, sqlite_url: str) -> Any:
    return _opened(request, sqlite_url)


@pytest.fixture
def postgres_engine(request: pytest.FixtureRequest, postgres_url: str) -> Any:
    return _opened(request, postgres_url)


def _opened(request: pytest.FixtureRequest, url: str) -> Engine:
    engine = Engine(url)
    request.addfinalizer(engine.close)
    engine.migrate()
    if engine.is_sqlite:
        engine.connection.execute("PRAGMA synchronous = OFF")
    return engine
