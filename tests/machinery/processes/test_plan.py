"""What to do about one process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.base.clock import HOUR, SECOND
from undercroft.machinery.processes.plan import (
    KILLED_AGAIN,
    LONGEST_PAUSE,
    SET_BACK,
    AskToEnd,
    Child,
    Forgive,
    Kill,
    Past,
    Spec,
    Start,
    Step,
    Wait,
    Wanted,
    after_end,
    pause,
    plan,
)

SPEC = Spec(("run",), graceful=2 * SECOND, warm_up=3 * SECOND)
UP, DOWN = Wanted(True, 1, SPEC), Wanted(False, 1, SPEC)
NOW = 1_000 * SECOND


@pytest.mark.parametrize(
    ("wanted", "child", "past", "step"),
    [
        (UP, None, Past(), Start()),
        (DOWN, None, Past(), Wait(None)),
        (UP, None, Past(1, NOW), Wait(NOW + 200)),
        (UP, None, Past(1, NOW - 200), Start()),
        (UP, None, Past(3, NOW), Wait(NOW + 800)),
        (UP, None, Past(40, NOW), Wait(NOW + LONGEST_PAUSE)),
        (UP, None, Past(0, NOW), Start()),
        (UP, Child(7, 1, NOW), Past(), Wait(None)),
        (UP, Child(7, 1, NOW), Past(2), Wait(NOW + 3 * SECOND)),
        (UP, Child(7, 1, NOW - 3 * SECOND), Past(2), Forgive()),
        (DOWN, Child(7, 1, NOW), Past(), AskToEnd(7)),
        (UP._replace(generation=2), Child(7, 1, NOW), Past(), AskToEnd(7)),
        (DOWN, Child(7, 1, NOW, NOW), Past(), Wait(NOW + 2 * SECOND)),
        (DOWN, Child(7, 1, NOW, NOW - 2 * SECOND), Past(), Kill(7)),
        (DOWN, Child(7, 1, NOW, NOW - 2 * SECOND, NOW), Past(), Wait(NOW + KILLED_AGAIN)),
        (DOWN, Child(7, 1, NOW, 0, NOW - KILLED_AGAIN), Past(), Kill(7)),
        # Wanted again while it is still ending: it ends first.
        (UP, Child(7, 1, NOW, NOW), Past(), Wait(NOW + 2 * SECOND)),
        # A clock that was set back, be it by half a minute or a day, keeps nothing waiting for the old moment.
        (UP, None, Past(1, NOW + 86_400 * SECOND), Start()),
        (UP, None, Past(1, NOW + 30 * SECOND), Start()),
        (UP, Child(7, 1, NOW + 3_600 * SECOND), Past(2), Forgive()),
        (DOWN, Child(7, 1, NOW, NOW + 3_600 * SECOND), Past(), AskToEnd(7)),
        (DOWN, Child(7, 1, NOW, NOW + 3_600 * SECOND, NOW + 3_600 * SECOND), Past(), Kill(7)),
        # One that differs by less is no step.
        (UP, None, Past(1, NOW + SET_BACK), Wait(NOW + SET_BACK + 200)),
        (DOWN, Child(7, 1, NOW, NOW + SET_BACK), Past(), Wait(NOW + SET_BACK + 2 * SECOND)),
    ],
)
def test_one_step(wanted: Wanted, child: Child | None, past: Past, step: Step) -> None:
    assert plan(wanted, child, past, NOW) == step


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    assert after_end(Child(7, 1, NOW, NOW), Past(5), SPEC, NOW + 1) == Past(0, NOW + 1)


def test_a_crash_after_a_long_run_counts_as_the_first() -> None:
    assert after_end(Child(7, 1, NOW - 9 * SECOND), Past(5), SPEC, NOW) == Past(1, NOW)
    assert after_end(Child(7, 1, NOW), Past(5), SPEC, NOW) == Past(6, NOW)
    assert after_end(Child(7, 1, NOW + 3_600 * SECOND), Past(5), SPEC, NOW) == Past(1, NOW), "the clock was set back"


@given(st.integers(0, 10_000))
def test_pauses_grow_and_end(failures: int) -> None:
    assert 0 <= pause(failures) <= pause(failures + 1) <= LONGEST_PAUSE


@given(st.lists(st.sampled_from(["pass", "crash", "down", "up", "restart", "set back", "set forward"]), max_size=40))
def test_whatever_happens_it_comes_to_rest_as_wanted(happenings: list[str]) -> None:
    now, wanted, child, past = NOW, UP, None, Past()
    for happening in [*happenings, *["pass"] * 8]:
        if happening == "crash" and child is not None:
            child, past = None, after_end(child, past, SPEC, now)
        elif happening in ("up", "down"):
            wanted = wanted._replace(up=happening == "up")
        elif happening == "restart":
            wanted = wanted._replace(generation=wanted.generation + 1)
        elif happening.startswith("set"):
            now += HOUR if happening == "set forward" else -HOUR
        step = plan(wanted, child, past, now)
        if isinstance(step, Start):
            assert child is None
            child = Child(7, wanted.generation, now)
        elif isinstance(step, AskToEnd) and child is not None:
            child = child._replace(asked_at=now)
        elif isinstance(step, Kill) and child is not None:
            child, past = None, after_end(child, past, SPEC, now)
        elif isinstance(step, Forgive):
            past = Past()
        elif isinstance(step, Wait) and step.until is not None:
            assert now < step.until <= now + LONGEST_PAUSE + SET_BACK
            now = step.until
    assert (child is not None) == wanted.up
    assert child is None or child.generation == wanted.generation
