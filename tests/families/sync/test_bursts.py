"""How long is waited before more deletions are told: on a clock that the test hands in."""

import pytest

from undercroft.families.sync.wire import FEW
from undercroft.families.sync.worker import bursts
from undercroft.families.sync.worker.bursts import Burst


def test_many_that_vanish_are_waited_for_until_no_more_do() -> None:
    burst = Burst(quiet=0.2, at_first=0.02)
    assert burst.wait(FEW, 0.0) == pytest.approx(0.02), "it may be the beginning"
    assert burst.wait(FEW, 0.02) == 0
    assert burst.wait(1, 0.5) == pytest.approx(0.2), "with those before, it is more than few"
    assert burst.wait(300, 0.6) == pytest.approx(0.2)
    assert burst.wait(300, 0.7) == pytest.approx(0.1)
    assert burst.wait(301, 0.75) == pytest.approx(0.2)
    assert burst.wait(301, 0.95) == 0
    assert burst.wait(FEW, 10.0) == pytest.approx(0.02), "long after"
    assert burst.wait(0, 10.0) == 0, "as many are new: a rename"


def test_who_never_stops_deleting_is_told_of_after_a_minute() -> None:
    burst = Burst(quiet=0.2, at_first=0.02)
    waits = [burst.wait(100 + n, n / 10) for n in range(700)]
    assert all(waits[:600])
    assert waits[int(bursts.LONGEST * 10)] == 0
