"""Whatever is done in whichever order: the tables say what thirty lines of Python say."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.database.engines import Engine
from tests.machinery.leases.house import Clocks, acquire, place
from undercroft.base.refusals import Refusal
from undercroft.machinery.leases.actions import Desk
from undercroft.machinery.leases.lease_clock import LeaseClock
from undercroft.machinery.leases.model import (
    ALIVE,
    KEYS_KEPT,
    Acquire,
    Answer,
    LeaveLine,
    Order,
    PassOn,
    Release,
    Renew,
    Span,
)

NAMES = st.sampled_from(["one", "two"])
TTLS = st.none() | st.integers(1, 3_000)
FOR_EVER = float("inf")


class Model:
    """Who holds what, and who waits, by a clock that nobody sets."""

    def __init__(self) -> None:
        self.now = 0
        self.held: dict[str, tuple[str, float, int]] = {}  # name → token, end, delay
        self.lines: dict[str, list[Acquire]] = {}
        self.told: dict[str, str] = {}  # waiter → token

    def settle(self, name: str) -> None:
        """What came free goes to the first in line."""
        if name in self.held and self.held[name][1] + self.held[name][2] <= self.now:
            self.free(name)

    def free(self, name: str) -> None:
        del self.held[name]
        if self.lines.get(name):
            order = self.lines[name].pop(0)
            self.grant(name, order)
            self.told[order.waiter] = order.token

    def grant(self, name: str, order: Acquire) -> None:
        self.held[name] = (order.token, self.end(order.span.ttl), order.delay)

    def end(self, ttl: int | None) -> float:
        return FOR_EVER if ttl is None else self.now + ttl

    def owns(self, name: str, token: str | None) -> bool:
        return name in self.held and token in (None, self.held[name][0]) and self.held[name][1] > self.now

    def acquire(self, name: str, order: Acquire) -> bool:
        self.settle(name)
        if name not in self.held:
            self.grant(name, order)
            return True
        if order.wait:
            self.lines.setdefault(name, []).append(order)
        return False


class Leases(RuleBasedStateMachine):
    url: str

    @initialize()
    def open(self) -> None:
        self.engine = Engine(self.url)
        with self.engine.transaction() as tx:
            for table in ("leases", "lease_tickets", "lease_keys"):
                tx.run(f"DELETE FROM {table}")
        self.clocks, self.model = Clocks(), Model()
        with self.engine.transaction() as tx:  # time goes on where the last example ended
            [(at,)] = tx.all("SELECT at FROM lease_state")
        self.clocks.wall = max(self.clocks.wall, at)
        self.desk = Desk(LeaseClock(lambda _tx: self.clocks.wall, lambda: self.clocks.boot), "a/1")
        self.tokens: list[tuple[str, str]] = [("one", "none")]
        self.fences: dict[str, int] = {}
        self.highest = 0

    def ask(self, *orders: Order) -> list[Answer]:
        with self.engine.transaction() as tx:
            answers = self.desk.decide(tx, list(orders))
            told = [granted for topic, items in tx.told if topic == "leases granted" for granted in items]
        for ticket, answer in told:
            assert self.model.told.pop(ticket.waiter) == ticket.token == answer.token
            self.note(ticket.place.name, answer)
        assert not any(isinstance(answer, Refusal) for answer in answers)
        return answers  # type: ignore[return-value]

    def note(self, name: str, answer: Answer) -> None:
        if answer.token not in self.fences:
            assert answer.fence > self.highest, "a number that does not grow"
            self.highest = self.fences[answer.token] = answer.fence
            self.tokens.append((name, answer.token))
        assert self.fences[answer.token] == answer.fence

    @rule(name=NAMES, ttl=TTLS, delay=st.sampled_from([0, 0, 500]), wait=st.sampled_from([0, 0, KEYS_KEPT]))
    def acquire(self, name: str, ttl: int | None, delay: int, wait: int) -> None:
        order = acquire(name, ttl, delay=delay, wait=wait)
        expected = self.model.acquire(name, order)
        [answer] = self.ask(order)
        assert (answer.yes, answer.waits) == (expected, not expected and bool(wait))
        if answer.yes:
            self.note(name, answer)

    @rule(names=st.lists(NAMES, min_size=2, max_size=5))
    def acquire_together(self, names: list[str]) -> None:
        orders = [acquire(name, 1_000) for name in names]
        expected = [self.model.acquire(order.place.name, order) for order in orders]
        answers = self.ask(*orders)
        assert [answer.yes for answer in answers] == expected
        for order, answer in zip(orders, answers, strict=True):
            if answer.yes:
                self.note(order.place.name, answer)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name, token = data.draw(st.sampled_from(self.tokens))
        given = data.draw(st.sampled_from([token, token, None]))
        expected = self.model.owns(name, given)
        if expected:
            self.model.free(name)
        [answer] = self.ask(Release(place(name), given))
        assert answer.yes == expected

    @rule(data=st.data(), ttl=TTLS)
    def renew(self, data: st.DataObject, ttl: int | None) -> None:
        name, token = data.draw(st.sampled_from(self.tokens))
        expected = self.model.owns(name, token)
        if expected:
            self.model.held[name] = (token, self.model.end(ttl), self.model.held[name][2])
        [answer] = self.ask(Renew(place(name), token, Span(ttl)))
        assert answer.yes == expected
        if expected:
            self.note(name, answer)

    @rule(name=NAMES, data=st.data())
    def leave_line(self, name: str, data: st.DataObject) -> None:
        line = self.model.lines.get(name)
        if line:
            order = data.draw(st.sampled_from(line))
            line.remove(order)
            [answer] = self.ask(LeaveLine(order.place, order.waiter))
            assert (answer.yes, answer.waits) == (False, False)

    @rule(ms=st.integers(1, ALIVE // 4), by=st.sampled_from([0, 0, 3_600_000, -3_600_000]))
    def time_passes(self, ms: int, by: int) -> None:
        """And the clock is set now and then; those who wait are vouched for."""
        self.clocks.pass_time(ms)
        self.clocks.set_wall(by)
        self.model.now += ms
        with self.engine.transaction() as tx:
            self.desk.keep_alive(tx)

    @rule(name=NAMES)
    def look_again(self, name: str) -> None:
        self.model.settle(name)
        self.ask(PassOn(place(name)))

    @invariant()
    def both_say_the_same(self) -> None:
        for name in ("one", "two"):
            with self.engine.transaction() as tx:
                seat = self.desk.look(tx, place(name))
            held = self.model.held.get(name)
            assert seat.in_line == len(self.model.lines.get(name, []))
            if seat.lease is None:
                assert held is None or held[1] + held[2] <= self.model.now, "it may be over, and not forgotten yet"
                continue
            assert held is not None and seat.lease.token == held[0]
            ends = seat.lease.expires_at
            assert (FOR_EVER if ends is None else ends - seat.time.now) == held[1] - self.model.now
        assert not self.model.told

    def teardown(self) -> None:
        self.engine.close()


@pytest.fixture
def migrated(database_url: str) -> Iterator[str]:
    engine = Engine(database_url)
    engine.migrate()
    engine.close()
    yield database_url


@pytest.mark.parametrize("examples", [25])
def test_against_the_model(migrated: str, examples: int) -> None:
    machine = type("LeasesHere", (Leases,), {"url": migrated})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None))
