"""What falls due soon is kept in memory, against a plain model: nothing lost, nothing doubled."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from undercroft.machinery.deliveries.claims import Due
from undercroft.machinery.deliveries.horizon import Horizon

hints = st.tuples(st.integers(0, 50), st.integers(1, 20), st.integers(1, 3))


class HorizonAgainstASet(RuleBasedStateMachine):
    """The model is a set of (due_at, id): the same row may be expected at several moments, once at each."""

    def __init__(self) -> None:
        super().__init__()
        self.horizon = Horizon()
        self.model: dict[tuple[int, int], Due] = {}

    @rule(entries=st.lists(hints))
    def add(self, entries: list[Due]) -> None:
        self.horizon.add(iter(entries))
        for entry in entries:
            self.model.setdefault(entry[:2], entry)

    @rule(now=st.integers(-1, 60), most=st.integers(0, 30))
    def pop_due(self, now: int, most: int) -> None:
        popped = self.horizon.pop_due(now, most)

        expected = sorted(key for key in self.model if key[0] <= now)[:most]
        assert [entry[0] for entry in popped] == [due_at for due_at, _ in expected]
        assert sorted(entry[:2] for entry in popped) == expected
        for entry in popped:
            assert self.model.pop(entry[:2]) == entry

    @invariant()
    def knows_how_many_and_the_next(self) -> None:
        assert len(self.horizon) == len(self.model)
        assert self.horizon.next_moment() == min((due_at for due_at, _ in self.model), default=None)


TestHorizon = HorizonAgainstASet.TestCase
