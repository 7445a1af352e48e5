"""What has failed, and when it is tried again: by moments that are handed in."""

import pytest

from undercroft.families.sync.failing import PAUSES, Failing


@pytest.fixture
def failing() -> Failing:
    return Failing((1.0, 2.0, 4.0))


def test_pauses_grow(failing: Failing) -> None:
    now = 0.0
    for pause in (1, 2, 4, 4, 4):
        failing.note("f", now, blocked=False)
        assert failing.next_due(now) == now + pause
        assert failing.waits("f", now + pause - 0.1)
        assert failing.due(now + pause - 0.1, 9) == []
        now += pause
        assert not failing.waits("f", now)
        assert failing.due(now, 9) == ["f"]
    failing.forget("f")
    assert failing.due(now, 9) == []
    failing.note("f", now, blocked=False)
    assert failing.due(now + 1, 9) == ["f"], "as though it had never failed"


def test_what_another_is_in_the_way_of_waits_for_a_second_at_most() -> None:
    failing = Failing()
    for times in range(20):
        failing.note("f", 100.0 * times, blocked=True)
        failing.due(100.0 * times, 9)
    due = failing.next_due(1_900.0)
    assert due is not None
    assert due - 1_900.0 == pytest.approx(0.8)
    assert PAUSES[-1] == 60


def test_what_is_due_is_due_until_it_is_begun(failing: Failing) -> None:
    for n in range(5):
        failing.note(str(n), 0.0, blocked=False)
    assert failing.due(1.0, 2) == failing.due(1.0, 2) == ["0", "1"]
    failing.begin("0")
    assert failing.due(1.0, 3) == ["1", "2", "3"]
    assert failing.tried == 1
    failing.begin("stranger")
    assert failing.tried == 1, "it has never failed"
    failing.note("0", 1.0, blocked=False)
    assert failing.tried == 0
    assert failing.due(1.0, 9) == ["1", "2", "3", "4"]
    assert failing.due(1.0, -3) == []


def test_what_is_tried_before_its_moment_does_not_come_due(failing: Failing) -> None:
    """It has changed, and is given for that."""
    failing.note("f", 0.0, blocked=False)
    failing.note("g", 0.0, blocked=False)
    failing.begin("g")
    failing.note("g", 0.5, blocked=False)
    assert failing.due(1.0, 9) == ["f"]
    failing.forget("g")
    failing.begin("f")
    assert failing.due(5.0, 9) == []
    failing.note("f", 5.0, blocked=False)
    assert failing.due(6.9, 9) == []
    assert failing.due(7.0, 9) == ["f"]


def test_what_a_change_overtook_is_tried_at_the_next(failing: Failing) -> None:
    for now in (0.0, 1.0, 3.0):
        failing.note("f", now, blocked=False, overtaken=True)
    assert failing.waits("f", 3.5)
    failing.hasten("f", 3.5)
    assert not failing.waits("f", 3.5)
    assert failing.due(3.5, 9) == ["f"]
    failing.hasten("f", 3.5)
    failing.begin("f")
    assert failing.due(3.5, 9) == [], "once"
    failing.note("f", 3.6, blocked=False, overtaken=True)
    assert failing.due(7.5, 9) == [], "it counts on"
    assert failing.due(7.6, 9) == ["f"]
    failing.forget("f")
    failing.hasten("f", 3.7)
    assert failing.due(9.0, 9) == []


def test_what_changes_while_it_is_tried_again_is_tried_once_more_at_once(failing: Failing) -> None:
    for now in (0.0, 1.0, 3.0):
        failing.note("f", now, blocked=False, overtaken=True)
    assert failing.due(7.0, 9) == ["f"]
    failing.begin("f")
    failing.hasten("f", 8.0)
    assert failing.due(8.0, 9) == [], "it is under way"
    failing.note("f", 9.0, blocked=False, overtaken=True)
    assert failing.due(9.0, 9) == ["f"]
    failing.begin("f")
    failing.note("f", 9.5, blocked=False, overtaken=True)
    assert failing.due(9.5, 9) == [], "it has not changed since"


def test_what_the_storage_would_not_do_waits_though_it_changes(failing: Failing) -> None:
    failing.note("f", 0.0, blocked=False)
    failing.hasten("f", 0.5)
    assert failing.waits("f", 0.9)
    assert failing.due(0.9, 9) == []


def test_all_are_due_at_once_and_wait_as_at_first_then(failing: Failing) -> None:
    for now in (0.0, 1.0, 3.0):
        failing.note("often", now, blocked=False)
    failing.note("once", 3.0, blocked=False)
    failing.try_all(3.5)
    assert not failing.waits("often", 3.5)
    assert set(failing.due(3.5, 9)) == {"often", "once"}
    failing.begin("often")
    failing.note("often", 3.6, blocked=False)
    assert failing.due(3.6, 9) == ["once"]
    assert failing.next_due(3.6) == 4.6


def test_neither_what_has_failed_once_nor_what_always_fails_waits_for_all_of_the_other(failing: Failing) -> None:
    for now in (0.0, 1.0, 3.0):
        for n in range(100):
            failing.note(f"always {n}", now, blocked=False)
        failing.due(now + 4, 0 if now == 3 else 1_000)
    for n in range(100):
        failing.note(f"once {n}", 7.5, blocked=False)
    assert {path.split()[0] for path in failing.due(8.5, 2)} == {"once", "always"}
