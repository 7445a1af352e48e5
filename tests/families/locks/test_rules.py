"""The rules of locks that need nothing but the request: moments in zones, spans within settings."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.base.clock import END_OF_TIME
from undercroft.base.refusals import Refusal
from undercroft.families.locks import model
from undercroft.families.locks.model import LockIn, Rules, moment, shown_end, shown_return, span_of
from undercroft.machinery.leases.model import Span

UTC, MANILA, BERLIN = ZoneInfo("UTC"), ZoneInfo("Asia/Manila"), ZoneInfo("Europe/Berlin")
NOW = 1_700_000_000_000
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("written", "zone", "shown"),
    [
        ("2014-07-08 18:00:00", UTC, "2014-07-08 18:00:00"),
        ("2014-07-08 18:00:00", MANILA, "2014-07-08 10:00:00"),
        ("2014-07-08 18:00:00Z", MANILA, "2014-07-08 18:00:00"),
        ("2014-07-08T18:00:00+08:00", UTC, "2014-07-08 10:00:00"),
        ("2014-07-08T18:00:00-0130", UTC, "2014-07-08 19:30:00"),
        ("2026-10-25 02:30:00", BERLIN, "2026-10-25 00:30:00"),  # comes twice: the first
        ("2026-03-29 02:30:00", BERLIN, "2026-03-29 01:30:00"),  # does not come at all: as far behind as it says
        ("0001-01-01 00:00:00", UTC, None),
        ("2014-07-08 24:00:00", UTC, None),
        ("2014-02-30 00:00:00", UTC, None),
        ("2014-W28-2 18:00:00", UTC, None),
        ("２０１４-07-08 18:00:00", UTC, None),
        ("2014-07-08 18:00:00" + " " * 100, UTC, None),
        ("9999-12-31T23:59:59-12:00", UTC, None),
        (1_404_842_400, MANILA, "2014-07-08 18:00:00"),
        (1_404_842_400_000, MANILA, "2014-07-08 18:00:00"),
        (float(END_OF_TIME + 1), UTC, None),
    ],
)
def test_moments(written: str | float, zone: ZoneInfo, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(Refusal) as refused:
            moment(written, zone)
        assert refused.value.code == "expires_at"
    else:
        assert shown_end(moment(written, zone)) == shown


@given(st.text(max_size=40) | st.integers() | st.floats(allow_nan=False))
def test_whatever_is_written_is_a_moment_or_refused(written: str | float) -> None:
    try:
        assert 0 <= moment(written, MANILA) <= END_OF_TIME
    except Refusal as refusal:
        assert refusal.code == "expires_at"


@given(st.integers(0, END_OF_TIME - 1_000))
def test_an_end_is_shown_no_later_and_a_return_no_earlier(ms: int) -> None:
    early, late = shown_end(ms), shown_return(ms)
    assert early is not None and late is not None
    assert moment(early, UTC) <= ms <= moment(late, UTC)
    assert moment(late, UTC) - moment(early, UTC) <= 1_000


def test_without_an_end_there_is_none_unless_the_settings_say_so() -> None:
    plain = LockIn("a")
    assert span_of(plain, Rules(), NOW) == Span()
    assert span_of(plain, Rules(default_ttl=HOUR), NOW) == Span(ttl=HOUR)
    assert span_of(plain, Rules(maximum_ttl=HOUR), NOW) == Span(ttl=HOUR)
    assert span_of(plain, Rules(default_ttl=HOUR, maximum_ttl=2 * HOUR), NOW) == Span(ttl=HOUR)


@pytest.mark.parametrize("asked", [LockIn("a", ttl=3_600.001), LockIn("a", expires_at=NOW + HOUR + 1)])
def test_longer_than_the_maximum_is_refused_and_not_cut(asked: LockIn) -> None:
    with pytest.raises(Refusal) as refused:
        span_of(asked, Rules(maximum_ttl=HOUR), NOW)
    assert refused.value.code == "maximum"
    assert "3600 seconds at the most" in refused.value.message


@pytest.mark.parametrize("asked", [LockIn("a", ttl=3_600), LockIn("a", expires_at=NOW + HOUR), LockIn("a", ttl=1)])
def test_up_to_the_maximum_is_granted(asked: LockIn) -> None:
    assert span_of(asked, Rules(maximum_ttl=HOUR), NOW) != Span()


@given(st.floats(allow_nan=False) | st.integers())
def test_a_ttl_is_in_range_or_refused(ttl: float) -> None:
    try:
        span = span_of(LockIn("a", ttl=ttl), Rules(), NOW)
    except Refusal as refusal:
        assert refusal.code == "ttl"
    else:
        assert span.ttl is not None and 1 <= span.ttl <= model.LONGEST_TTL * 1_000
