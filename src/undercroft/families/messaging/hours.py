"""At which moment a message leaves: the receiver's own time zone, and the quiet hours of the set. Pure.

On days when clocks change both keep to the clock on the wall, as cron expressions do (`machinery/recurrence.py`): a
time that is skipped is the next moment that exists, of a time that comes twice the first one counts. Quiet hours are
then as long as they can be: they end when their end has come for the last time.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from undercroft.base.refusals import Refusal
from undercroft.machinery.recurrence import next_occurrence


def is_zone(name: str) -> bool:
    """Whether it is one of the IANA names."""
    try:
        zone(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=1_024)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name or "UTC")


def in_own_zone(moment: int, minute: str, hour: str, own: str) -> int:
    """The first moment, not before this one, at which a schedule of this minute and hour fires in the receiver's zone.

    Eight in the morning is eight in the morning everywhere, within a day of the schedule's own eight (25 hours on the
    day that has an hour twice).
    """
    try:
        return next_occurrence(f"{minute} {hour} * * *", own, moment - 1)
    except Refusal:  # its time zone may be gone from a newer tz database
        return moment


class Quiet(NamedTuple):
    """The hours in which nothing is sent: a time zone, and times of its day such as 21:00."""

    zone: str
    begin: str
    end: str


def after_quiet(moment: int, quiet: Quiet) -> int:
    """This moment, or the end of the quiet hours that it lies in. From 21:00 until 08:00 goes over midnight; from 08:00
    until 08:00 are none."""
    begin, end = time.fromisoformat(quiet.begin), time.fromisoformat(quiet.end)
    if begin == end:
        return moment
    today = _at(moment // 1_000, quiet.zone).date()
    for day in (today - timedelta(days=1), today):
        last_day = day if begin < end else day + timedelta(days=1)
        until = _second(last_day, end, quiet.zone, fold=1) * 1_000
        if _second(day, begin, quiet.zone, fold=0) * 1_000 <= moment < until:
            return until
    return moment


def _second(day: date, shown: time, name: str, *, fold: int) -> int:
    """When clocks there show this (seconds since 1970); 1 as `fold` is the second one of two. Where they skip it, the
    moment of the change."""
    wanted = datetime.combine(day, shown)
    # Of a skipped time these two lie on either side of the change; else they are its moments, most often the same.
    sides = [int(wanted.replace(tzinfo=zone(name), fold=side).timestamp()) for side in (0, 1)]
    if _at(sides[fold], name) == wanted:
        return sides[fold]
    before, after = sorted(sides)
    return before + bisect_left(range(before, after), wanted, key=lambda second: _at(second, name))


def _at(second: int, name: str) -> datetime:
    """What clocks there show."""
    return datetime.fromtimestamp(second, UTC).astimezone(zone(name)).replace(tzinfo=None, fold=0)
