"""What follows from an outcome: a table of the promises, and what holds for any outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machinery.deliveries.making import NOW, answered
from undercroft.base.clock import DAY, HOUR, SECOND
from undercroft.machinery.deliveries.model import FILED_EARLY, NEAR, Outcome, Result, State, filing, public_state
from undercroft.machinery.deliveries.policy import DEFAULT_RETRIES, JITTER, LONGEST_RETRY_AFTER, judge, lease

outcomes = st.builds(
    Outcome,
    started_at=st.just(NOW),
    took_ms=st.integers(0, 120_000),
    result=st.sampled_from(Result),
    status=st.none() | st.integers(100, 999),
    error=st.none() | st.text(max_size=20),
    retry_after=st.none() | st.integers(0, 10**9),
)
schedules = st.lists(st.floats(0, 30 * 86_400), max_size=12).map(tuple)


@pytest.mark.parametrize(
    ("outcome", "attempts", "state"),
    [
        (answered(200), 1, State.DELIVERED),
        (answered(201), 9, State.DELIVERED),
        (answered(204), 1, State.DELIVERED),
        (answered(299), 1, State.DELIVERED),
        (answered(199), 1, State.SCHEDULED),
        (answered(300), 1, State.SCHEDULED),
        (answered(302), 1, State.SCHEDULED),
        (answered(307), 8, State.SCHEDULED),
        (answered(400), 1, State.SCHEDULED),
        (answered(404), 1, State.SCHEDULED),
        (answered(410), 1, State.DEAD),
        (answered(429), 1, State.SCHEDULED),
        (answered(500), 8, State.SCHEDULED),
        (answered(500), 9, State.DEAD),
        (answered(None), 1, State.SCHEDULED),
        (answered(None), 9, State.DEAD),
        (Outcome(NOW, 5, Result.HOPELESS, error="never"), 1, State.DEAD),
    ],
)
def test_what_an_outcome_leads_to(outcome: Outcome, attempts: int, state: State) -> None:
    assert judge(outcome, attempts, NOW).state is state


def test_only_410_pauses_the_target() -> None:
    statuses = [*range(100, 1_000), None]

    assert [status for status in statuses if judge(answered(status), 1, NOW).pause_target] == [410]


def test_the_schedule_of_the_contract() -> None:
    assert DEFAULT_RETRIES == (5, 30, 2 * 60, 10 * 60, 3_600, 3 * 3_600, 8 * 3_600, 24 * 3_600)


def test_an_empty_schedule_is_a_single_attempt() -> None:
    assert judge(answered(500), 1, NOW, ()).state is State.DEAD


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(60, 60 * SECOND), (0, 5 * SECOND), (1, 5 * SECOND), (10**9, 24 * HOUR)],
)
def test_a_pause_that_is_asked_for_only_makes_it_longer(retry_after: int, pause: int) -> None:
    assert judge(answered(503)._replace(retry_after=retry_after), 1, NOW).due_at - NOW == pause


def test_the_jitter_stretches_a_pause_by_a_tenth_at_the_most() -> None:
    pauses = [judge(answered(500), 1, NOW, stretch=stretch).due_at - NOW for stretch in (0.0, 0.5, 1.0)]

    assert pauses == [5_000, 5_250, 5_500]


@given(outcomes, st.integers(1, 20), schedules)
def test_delivered_is_what_is_done_and_nothing_else(
    outcome: Outcome, attempts: int, retries: tuple[float, ...]
) -> None:
    verdict = judge(outcome, attempts, NOW, retries)

    done = outcome.result is Result.DONE
    assert (verdict.state is State.DELIVERED) == done
    assert verdict.reason is None if done else verdict.reason


@given(outcomes, st.integers(1, 20), schedules)
def test_dead_only_when_gone_hopeless_or_used_up(outcome: Outcome, attempts: int, retries: tuple[float, ...]) -> None:
    verdict = judge(outcome, attempts, NOW, retries)

    if verdict.state is State.DEAD:
        assert outcome.result in (Result.GONE, Result.HOPELESS) or attempts > len(retries)
    if verdict.state is State.SCHEDULED:
        assert attempts <= len(retries)


@given(outcomes, st.integers(1, 20), schedules)
def test_a_pause_is_as_long_as_the_schedule_says_and_bounded(
    outcome: Outcome, attempts: int, retries: tuple[float, ...]
) -> None:
    verdict = judge(outcome, attempts, NOW, retries)

    if verdict.state is not State.SCHEDULED:
        assert verdict.due_at == NOW
        return
    pause, wanted = verdict.due_at - NOW, retries[attempts - 1] * SECOND
    assert pause >= wanted
    asked_for = 0
    if outcome.retry_after is not None:
        asked_for = min(outcome.retry_after * SECOND, LONGEST_RETRY_AFTER)
    assert pause >= asked_for
    assert pause <= max(wanted * (1 + JITTER), asked_for) + 1


@given(st.floats(0.1, 120))
def test_a_lease_outlives_the_call(timeout: float) -> None:
    assert lease(timeout) > timeout * SECOND


@given(st.integers(-DAY, 3_000 * DAY), st.integers(0, 2_000 * DAY))
def test_a_row_is_never_filed_later_than_planned_nor_before_its_eve(planned_at: int, now: int) -> None:
    state, due_at = filing(planned_at, now)

    assert due_at <= planned_at
    if planned_at - now <= NEAR:
        assert (state, due_at) == (State.SCHEDULED, planned_at)
    else:
        assert state is State.FILED
        assert now < due_at, "there is time left to file it precisely"
        assert planned_at - due_at < DAY + FILED_EARLY
        assert (due_at + FILED_EARLY) % DAY == 0


@given(st.integers(0, 3_000 * DAY), st.integers(0, 2_000 * DAY))
def test_a_row_that_is_filed_precisely_in_time_is_filed_exactly(planned_at: int, now: int) -> None:
    """Whatever the row was filed for, at that moment it counts as near."""
    state, due_at = filing(planned_at, now)

    if state is State.FILED:
        assert filing(planned_at, due_at) == (State.SCHEDULED, planned_at)


@pytest.mark.parametrize(
    ("state", "attempts", "word"),
    [
        (State.FILED, 0, "scheduled"),
        (State.SCHEDULED, 0, "scheduled"),
        (State.SCHEDULED, 1, "retrying"),
        (State.SENDING, 1, "sending"),
        (State.HELD, 0, "held"),
        (State.DELIVERED, 1, "delivered"),
        (State.DEAD, 9, "dead"),
    ],
)
def test_words_for_states(state: State, attempts: int, word: str) -> None:
    assert public_state(int(state), attempts) == word
