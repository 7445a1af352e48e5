"""The next moment of a cron expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.base.clock import DAY, END_OF_TIME, HOUR, MINUTE
from undercroft.base.refusals import Refusal
from undercroft.machinery.recurrence import next_occurrence


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", None])
def test_the_end_of_time_is_no_fault(zone: str | None) -> None:
    for after in (END_OF_TIME, END_OF_TIME - DAY, END_OF_TIME - HOUR):
        try:
            assert after < next_occurrence("59 * * * *", zone, after) <= END_OF_TIME + DAY
        except Refusal as refusal:
            assert refusal.code == "cron"


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


crons = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 29 2 *", "15 */3 * * 1-5", "0 12 L * *", "5 4 * * 0#1"]
)


@given(crons, zones, st.integers(0, 4_000_000_000_000))
def test_the_next_moment_is_later_and_the_one_after_later_still(cron: str, zone: str, after: int) -> None:
    first = next_occurrence(cron, zone, after)
    second = next_occurrence(cron, zone, first)

    assert after < first < second
    assert first % MINUTE == 0
    assert next_occurrence(cron, zone, first - 1) == first
