"""Lanes, against plain models: nothing lost, nothing doubled, limits kept."""

from collections import defaultdict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.machinery.deliveries.making import FAMILY, NOW
from undercroft.machinery.deliveries import lanes as rooms
from undercroft.machinery.deliveries.claims import Due
from undercroft.machinery.deliveries.lanes import Lane, Lanes
from undercroft.machinery.deliveries.model import Target, TargetSettings


def target(id: int, concurrency: int, rate: int | None) -> Target:
    return Target(id, FAMILY, "shop", f"hook{id}", "webhook", TargetSettings(), concurrency, rate, None, None, None, 1)


LIMITS = {1: (1, None), 2: (3, 2), 3: (5, 10), 4: (1_000, 1)}
LONGEST = 12


class LanesAgainstQueues(RuleBasedStateMachine):
    """The model is a list per target, what was claimed of it, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.now = NOW
        self.passed = 0
        self.waiting: dict[int, list[Due]] = defaultdict(list)
        self.on_their_way: dict[int, list[Due]] = defaultdict(list)
        self.taken_at: dict[int, list[int]] = defaultdict(list)
        """By the time that has passed, however the clock was set."""
        self.held: set[int] = set()
        self.learned: set[int] = set()
        self.next_id = 1

    @initialize()
    def keep_lanes_short(self) -> None:
        self.longest, rooms.LONGEST_LANE = rooms.LONGEST_LANE, LONGEST
        self.most, rooms.MOST_LANES = rooms.MOST_LANES, 1

    def teardown(self) -> None:
        rooms.LONGEST_LANE, rooms.MOST_LANES = self.longest, self.most

    @rule(where=st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, max_size=15))
    def add(self, where: list[int]) -> None:
        entries = [(self.now, self.next_id + number, lane) for number, lane in enumerate(where)]
        self.next_id += len(where)

        overflow = self.lanes.add(entries)

        expected = []
        for entry in entries:
            if len(self.waiting[entry[2]]) < LONGEST:
                self.waiting[entry[2]].append(entry)
            else:
                expected.append(entry[1])
        assert overflow == expected
        self.held |= set(overflow)

    @rule(data=st.data())
    def add_what_waits_already(self, data: st.DataObject) -> None:
        waiting = [entry for line in self.waiting.values() for entry in line]
        assume(waiting)
        entry = data.draw(st.sampled_from(waiting))

        assert self.lanes.add([(entry[0] + 5, *entry[1:])]) == []

    @rule()
    def learn(self) -> None:
        strangers = self.lanes.strangers()
        for lane in strangers:
            self.lanes.lane(lane).learn(target(lane, *LIMITS[lane]), 1)
        self.learned |= strangers

    @rule(most=st.integers(1, 20))
    def take(self, most: int) -> None:
        before = self.lanes.strangers()

        taken = self.lanes.take(self.now, most)

        assert len(taken) <= most
        assert not before & {entry[2] for entry in taken}, "went before the limits were known"
        for lane in {entry[2] for entry in taken}:
            of_lane = [entry for entry in taken if entry[2] == lane]
            assert self.waiting[lane][: len(of_lane)] == of_lane, "in the order in which they came"
            del self.waiting[lane][: len(of_lane)]
            self.on_their_way[lane] += of_lane
            self.taken_at[lane] += [self.passed] * len(of_lane)
        for entry in taken:
            self.lanes.forget(entry)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        under_way = [entry for line in self.on_their_way.values() for entry in line]
        assume(under_way)
        entry = data.draw(st.sampled_from(under_way))
        self.on_their_way[entry[2]].remove(entry)
        self.lanes.done(entry[2])

    @rule(milliseconds=st.sampled_from([1, 10, 99, 500, 1_000, 5_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.passed += milliseconds

    @rule(milliseconds=st.sampled_from([1, 700, 3_600_000]))
    def clock_is_set_back(self, milliseconds: int) -> None:
        self.now -= milliseconds

    @precondition(lambda self: any(self.waiting.values()))
    @rule()
    def everything_gets_its_turn_in_the_end(self) -> None:
        """With calls ending and time passing, what waits is taken within the time that its rate asks for."""
        left = sum(map(len, self.waiting.values()))
        self.learn()
        self.take(20)
        self.clock_is_set_back(3_600_000)
        for _ in range(left + 5):
            self.learn()
            for _ in range(4):
                self.take(20)
                while any(self.on_their_way.values()):
                    entry = next(line[0] for line in self.on_their_way.values() if line)
                    self.on_their_way[entry[2]].remove(entry)
                    self.lanes.done(entry[2])
            self.time_passes(1_000)
        assert not any(self.waiting.values())

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        waiting = [entry for line in self.waiting.values() for entry in line]
        assert len(self.lanes) == len(waiting) == len({id for _, id, _ in waiting})
        for lane, line in self.waiting.items():
            assert list(self.lanes.lane(lane).waiting) == line

    @invariant()
    def concurrency_is_kept(self) -> None:
        """As many again are claimed ahead, to be at hand when a call ends."""
        for lane, line in self.on_their_way.items():
            assert len(line) <= 2 * LIMITS[lane][0]

    @invariant()
    def rates_are_kept_over_any_window(self) -> None:
        """A second's worth at once, and then no more than the rate."""
        for lane, moments in self.taken_at.items():
            rate = LIMITS[lane][1]
            for first in range(len(moments) if rate else 0):
                seconds = (moments[-1] - moments[first]) / 1_000
                assert len(moments) - first <= rate * (1 + seconds) + 1e-6

    @invariant()
    def a_lane_that_ran_over_is_said_to_be_full(self) -> None:
        for lane, waiting in self.waiting.items():
            room = self.lanes.room(lane)
            assert room == LONGEST - len(waiting) or (room == 0 and len(waiting) > LONGEST // 2)


TestLanes = LanesAgainstQueues.TestCase
TestLanes.settings = settings(max_examples=40, stateful_step_count=40)


@given(st.integers(1, 1_000), st.none() | st.integers(1, 1_000), st.integers(1, 50))
def test_nodes_share_limits_and_each_may_do_something(concurrency: int, rate: int | None, nodes: int) -> None:
    lane = Lane(1)
    lane.learn(target(1, concurrency, rate), nodes)

    assert lane.concurrency >= 1
    assert lane.concurrency * nodes < concurrency + nodes
    if rate is None:
        assert lane.rate is None
    else:
        assert lane.rate is not None and (lane.rate == 1 or lane.rate * nodes <= rate)


def test_a_rate_is_remembered_while_nothing_waits() -> None:
    """Each finds an empty lane: without a memory each would be the first."""
    lanes = Lanes()
    sent = 0
    for tenth in range(100):
        lanes.add([(NOW, tenth, 1)])
        for stranger in lanes.strangers():
            lanes.lane(stranger).learn(target(1, 32, 2), 1)
        for entry in lanes.take(NOW + 100 * tenth, 500):
            lanes.forget(entry)
            lanes.done(1)
            sent += 1

    assert 19 <= sent <= 2 * 10 + 2


def test_the_next_moment_is_when_the_rate_allows_one() -> None:
    lanes = Lanes()
    lanes.add([(NOW, id, 1) for id in range(5)])
    lanes.lane(1).learn(target(1, 32, 2), 1)
    assert len(lanes.take(NOW, 500)) == 2

    moment = lanes.next_moment()

    assert moment == NOW + 500
    assert len(lanes.take(moment, 500)) == 1


def test_a_clock_that_is_set_back_stops_no_lane() -> None:
    lanes = Lanes()
    lanes.add([(NOW, id, 1) for id in range(12)])
    lanes.lane(1).learn(target(1, 32, 2), 1)
    assert len(lanes.take(NOW, 500)) == 2
    assert lanes.take(NOW, 500) == []

    an_hour_ago = NOW - 3_600_000
    taken = [len(lanes.take(an_hour_ago + 1_000 * second, 500)) for second in range(6)]

    assert taken == [0, 2, 2, 2, 2, 2]


def test_a_lane_is_full_until_it_is_half_empty() -> None:
    lanes = Lanes()
    lanes.lane(1).learn(target(1, 10_000, None), 1)
    overflow = lanes.add([(NOW, id, 1) for id in range(rooms.LONGEST_LANE + 3)])
    assert len(overflow) == 3
    assert lanes.room(1) == 0

    lanes.take(NOW, rooms.LONGEST_LANE // 2 - 1)
    assert lanes.room(1) == 0
    lanes.take(NOW, 1)

    assert lanes.room(1) == rooms.LONGEST_LANE - rooms.LONGEST_LANE // 2


def test_no_more_is_taken_than_asked_for_and_the_rest_has_its_turn_next() -> None:
    lanes = Lanes()
    lanes.add([(NOW, 10 * lane + number, lane) for number in range(5) for lane in (1, 2)])
    for lane in (1, 2):
        lanes.lane(lane).learn(target(lane, 32, None), 1)

    first, second = lanes.take(NOW, 7), lanes.take(NOW, 7)

    assert (len(first), len(second)) == (7, 3)


def test_of_many_lanes_those_at_rest_are_forgotten_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST_LANES", 0)
    lanes = Lanes()
    lanes.add([(NOW, lane, lane) for lane in (1, 2, 3)])
    lanes.lane(1).learn(target(1, 1, 1), 1)
    lanes.lane(2).learn(target(2, 1, None), 1)
    lanes.lane(3).learn(target(3, 1, None), 1)
    lanes.take(NOW, 500)
    lanes.done(1)
    lanes.done(2)

    lanes.take(NOW + 999, 500)
    assert [lanes.lane(lane).known for lane in (1, 2, 3)] == [True, False, True]

    lanes.take(NOW + 1_000, 500)
    assert [lanes.lane(lane).known for lane in (1, 2, 3)] == [False, False, True]


def test_thousands_that_are_late_for_their_rate_stand_before_nobody() -> None:
    lanes = Lanes()
    many = range(2, 3_002)
    lanes.add([(NOW, 10_000 * number + lane, lane) for number in range(2) for lane in many])
    for lane in many:
        lanes.learn(lane, target(lane, 32, 1), 1)
    while lanes.take(NOW, 500):
        pass
    later = NOW + 5_000
    lanes.learn(1, target(1, 32, None), 1)

    lanes.add([(later, 999_999, 1)])
    first = lanes.take(later, 500)

    assert (later, 999_999, 1) in first
    assert len(first) <= rooms.RESTED_PER_LOOK + 1, "and the look is short"
    rest = sum(iter(lambda: len(lanes.take(later, 500)), 0))
    assert len(first) + rest == 3_001


def test_those_who_rested_have_their_turn_however_much_else_is_due() -> None:
    lanes = Lanes()
    lanes.add([(NOW, number, 1) for number in range(2)])
    lanes.learn(1, target(1, 32, 1), 1)
    assert len(lanes.take(NOW, 500)) == 1
    lanes.learn(2, target(2, 10_000, None), 1)
    lanes.add([(NOW, 100 + number, 2) for number in range(5_000)])

    taken = lanes.take(NOW + 1_000, 500)

    assert len(taken) == 500
    assert [entry[2] for entry in taken].count(1) == 1
