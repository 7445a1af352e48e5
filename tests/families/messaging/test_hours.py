"""At which moment a message leaves, on days like others and on those on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.families.messaging.hours import Quiet, after_quiet, in_own_zone
from undercroft.machinery.recurrence import next_occurrence

BERLIN, LAGOS, HAVANA, BEIRUT = "Europe/Berlin", "Africa/Lagos", "America/Havana", "Asia/Beirut"
"""Lagos never changes its clocks; those of Havana go from 01:00 to 00:00, those of Beirut from 00:00 to 01:00."""
HALF_HOUR = 1_800_000


def ms(moment: str, zone: str) -> int:
    """Of a local time, with its offset where it is there twice."""
    read = datetime.fromisoformat(moment)
    return round((read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1_000)


def local(moment: int, zone: str) -> str:
    return datetime.fromtimestamp(moment / 1_000, UTC).astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("zone", "fires_at", "leaves_at"),
    [
        ("UTC", "2027-03-26T02:30", "2027-03-27T02:30+01:00"),
        ("UTC", "2027-03-27T02:30", "2027-03-28T03:00+02:00"),  # 02:30 is skipped: the next moment that exists
        ("UTC", "2027-03-28T02:30", "2027-03-29T02:30+02:00"),
        (LAGOS, "2027-10-29T02:30", "2027-10-30T02:30+02:00"),
        (LAGOS, "2027-10-30T02:30", "2027-10-31T02:30+02:00"),  # it comes twice: the first
        (LAGOS, "2027-10-31T02:30", "2027-11-01T02:30+01:00"),  # and once only
        (LAGOS, "2027-11-01T02:30", "2027-11-01T02:30+01:00"),
    ],
)
def test_a_receivers_own_time_on_the_days_when_clocks_change(zone: str, fires_at: str, leaves_at: str) -> None:
    """A schedule of 02:30 elsewhere, for somebody in Berlin."""
    assert local(in_own_zone(ms(fires_at, zone), "30", "2", BERLIN), BERLIN) == leaves_at


def test_a_schedule_whose_time_is_skipped_keeps_its_time_elsewhere() -> None:
    """02:30 in Berlin fires at 03:00 on that day; in Lagos 02:30 is there as ever."""
    fires_at = next_occurrence("30 2 * * *", BERLIN, ms("2027-03-28T01:00", BERLIN))
    assert local(fires_at, BERLIN) == "2027-03-28T03:00+02:00"
    assert local(in_own_zone(fires_at, "30", "2", LAGOS), LAGOS) == "2027-03-28T02:30+01:00"
    assert in_own_zone(fires_at, "30", "2", BERLIN) == fires_at


def test_a_zone_that_is_gone_keeps_nothing_back() -> None:
    assert in_own_zone(5_000, "30", "2", "Europe/Atlantis") == 5_000


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "leaves_at"),
    [
        ("21:00-08:00", BERLIN, "2027-06-01T20:59", "2027-06-01T20:59+02:00"),
        ("21:00-08:00", BERLIN, "2027-06-01T21:00", "2027-06-02T08:00+02:00"),
        ("21:00-08:00", BERLIN, "2027-06-02T07:59", "2027-06-02T08:00+02:00"),
        ("21:00-08:00", BERLIN, "2027-06-02T08:00", "2027-06-02T08:00+02:00"),
        ("01:00-05:00", BERLIN, "2027-06-02T03:00", "2027-06-02T05:00+02:00"),
        # 02:00 becomes 03:00
        ("21:00-02:30", BERLIN, "2027-03-28T01:30", "2027-03-28T03:00+02:00"),
        ("21:00-02:30", BERLIN, "2027-03-28T03:00", "2027-03-28T03:00+02:00"),
        ("02:30-06:00", BERLIN, "2027-03-28T01:59", "2027-03-28T01:59+01:00"),
        ("02:30-06:00", BERLIN, "2027-03-28T03:00", "2027-03-28T06:00+02:00"),
        ("02:10-02:50", BERLIN, "2027-03-28T03:00", "2027-03-28T03:00+02:00"),
        # 03:00 becomes 02:00
        ("21:00-02:30", BERLIN, "2027-10-31T02:15+02:00", "2027-10-31T02:30+01:00"),
        ("21:00-02:30", BERLIN, "2027-10-31T02:45+02:00", "2027-10-31T02:30+01:00"),
        ("21:00-02:30", BERLIN, "2027-10-31T02:15+01:00", "2027-10-31T02:30+01:00"),
        ("02:30-06:00", BERLIN, "2027-10-31T02:15+02:00", "2027-10-31T02:15+02:00"),
        ("02:30-06:00", BERLIN, "2027-10-31T02:15+01:00", "2027-10-31T06:00+01:00"),
        # at midnight
        ("23:00-00:30", HAVANA, "2027-11-07T00:45-04:00", "2027-11-07T00:30-05:00"),
        ("22:00-00:00", BEIRUT, "2027-03-27T23:30", "2027-03-28T01:00+03:00"),
        ("00:00-06:00", BEIRUT, "2027-03-28T01:00", "2027-03-28T06:00+03:00"),
        # that end when they begin
        ("08:00-08:00", BERLIN, "2027-06-02T03:00", "2027-06-02T03:00+02:00"),
    ],
)
def test_quiet_hours(hours: str, zone: str, moment: str, leaves_at: str) -> None:
    begin, _, end = hours.partition("-")
    assert local(after_quiet(ms(moment, zone), Quiet(zone, begin, end)), zone) == leaves_at


TIMES = st.integers(0, 47).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}")


@given(
    zone=st.sampled_from([BERLIN, LAGOS, HAVANA, BEIRUT, "Australia/Lord_Howe", "Pacific/Apia"]),
    hours=st.integers(0, 24 * 366),
    begin=TIMES,
    end=TIMES,
)
def test_nothing_leaves_while_the_receivers_clock_shows_quiet_hours(
    zone: str, hours: int, begin: str, end: str
) -> None:
    """Nor is anything kept longer than they last, with an hour more where clocks change."""
    moment = ms("2027-01-01T00:00", "UTC") + hours * 2 * HALF_HOUR
    leaves_at = after_quiet(moment, Quiet(zone, begin, end))
    shown = local(leaves_at, zone)[11:16]
    is_quiet = begin <= shown < end if begin < end else begin != end and (shown >= begin or shown < end)
    assert not is_quiet
    clock = [int(words[:2]) * 60 + int(words[3:]) for words in (begin, end)]
    longest = timedelta(minutes=(clock[1] - clock[0]) % (24 * 60), hours=1)
    assert 0 <= leaves_at - moment <= longest.total_seconds() * 1_000
    assert after_quiet(leaves_at, Quiet(zone, begin, end)) == leaves_at
