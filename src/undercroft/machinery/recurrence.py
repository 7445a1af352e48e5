"""Cron expressions in a time zone, DST-right by cronsim: a job at 02:30 fires once on the day that skips 02:30 (at the
next moment that exists) and once on the day that has it twice."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from undercroft.base.refusals import invalid


def next_occurrence(cron: str, timezone: str | None, after: int) -> int:
    """The first moment later than `after` (both milliseconds UTC).

    Raises Refusal(INVALID, "cron") that says what is wrong, or that there is none within fifty years.
    """
    if len(cron) > 200:
        raise invalid(
            "cron", "a cron expression has five fields: minute hour day month weekday, or seconds before them"
        )
    return _next_second(cron, timezone, after // 1_000) * 1_000


@lru_cache(maxsize=4_096)
def _next_second(cron: str, timezone: str | None, after: int) -> int:
    """Remembered, because jobs that come or fall due together often have one schedule; it costs 0.1 ms."""
    try:
        occurrences = CronSim(cron, datetime.fromtimestamp(after, UTC).astimezone(_zone(timezone)))
        while (moment := int(next(occurrences).timestamp())) <= after:
            pass
    except CronSimError as error:
        raise invalid("cron", f"the cron expression {cron!r} is wrong: {error}") from None
    except (StopIteration, OverflowError):  # none in fifty years, or beyond the year 9999
        raise invalid("cron", f"the cron expression {cron!r} names no moment that ever comes") from None
    return moment


@lru_cache(maxsize=256)
def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise invalid(
            "cron", f"the timezone {(name or '')[:100]!r} is not one of the IANA names, like Europe/Berlin"
        ) from None
