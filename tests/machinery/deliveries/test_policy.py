"""What follows from an outcome: a table of the promises, and what holds for any outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import DAY, HOUR, SECOND
from undercroft.machinery.deliveries.model import FILED_EARLY, NEAR, Outcome, State, filing, public_state
from undercroft.machinery.deliveries.policy import DEFAULT_RETRIES, JITTER, LONGEST_RETRY_AFTER, judge, lease

statuses = st.none() | st.integers(100, 999)
outcomes = st.builds(
    Outcome,
    started_at=st.just(NOW),
    took_ms=st.integers(0, 120_000),
    status=statuses,
    error=st.none() | st.text(max_size=20),
    retry_after=st.none() | st.integers(0, 10**9),
    hopeless=st.booleans(),
)
schedules = st.lists(st.floats(0, 30 * 86_400), max_size=12).map(tuple)


def answered(status: int | None, **more: object) -> Outcome:
    return Outcome(NOW, 5, status=status, **more)  # type: ignore[arg-type]


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
        (answered(None, error="no answer"), 1, State.SCHEDULED),
        (answered(None, error="no answer"), 9, State.DEAD),
        (answered(None, error="never", hopeless=True), 1, State.DEAD),
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
    ("status", "retry_after", "least", "most"),
    [
        (429, 60, 60 * SECOND, 60 * SECOND),
        (503, 60, 60 * SECOND, 60 * SECOND),
        (429, 0, 5 * SECOND, 5.5 * SECOND),
        (429, 1, 5 * SECOND, 5.5 * SECOND),
        (503, 10**9, 24 * HOUR, 24 * HOUR),
        (500, 60, 5 * SECOND, 5.5 * SECOND),
        (502, 60, 5 * SECOND, 5.5 * SECOND),
    ],
)
def test_retry_after_is_honoured_where_it_means_something(
    status: int, retry_after: int, least: float, most: float
) -> None:
    pause = judge(answered(status, retry_after=retry_after), 1, NOW).due_at - NOW

    assert least <= pause <= most


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({judge(answered(500), 4, NOW).due_at for _ in range(100)}) > 50


@given(outcomes, st.integers(1, 20), schedules)
def test_delivered_is_2xx_and_nothing_else(outcome: Outcome, attempts: int, retries: tuple[float, ...]) -> None:
    verdict = judge(outcome, attempts, NOW, retries)

    was_2xx = outcome.status is not None and 200 <= outcome.status <= 299
    assert (verdict.state is State.DELIVERED) == was_2xx
    assert verdict.reason is None if was_2xx else verdict.reason


@given(outcomes, st.integers(1, 20), schedules)
def test_dead_only_when_gone_hopeless_or_used_up(outcome: Outcome, attempts: int, retries: tuple[float, ...]) -> None:
    verdict = judge(outcome, attempts, NOW, retries)

    if verdict.state is State.DEAD:
        assert outcome.status == 410 or outcome.hopeless or attempts > len(retries)
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
    if outcome.status in (429, 503) and outcome.retry_after is not None:
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
