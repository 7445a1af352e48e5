"""At which moment a message leaves: the receiver's own time zone, and the quiet hours of the set. Pure."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


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


def in_own_zone(moment: int, of_schedule: str, own: str) -> int:
    """The first moment, not before this one, at which clocks in the receiver's zone show what the schedule's show now.

    Eight in the morning is eight in the morning everywhere, within a day of the schedule's own eight.
    """
    shown = _at(moment, of_schedule).time()
    there = _at(moment, own)
    for days in (0, 1, 2):
        candidate = _moment(datetime.combine(there.date() + timedelta(days=days), shown, zone(own)))
        if candidate >= moment:
            return candidate
    return moment


class Quiet(NamedTuple):
    """The hours in which nothing is sent: a time zone, and times of its day such as 21:00."""

    zone: str
    begin: str
    end: str


def after_quiet(moment: int, quiet: Quiet) -> int:
    """This moment, or the end of the quiet hours that it lies in. From 21:00 until 08:00 goes over midnight."""
    begin, end = time.fromisoformat(quiet.begin), time.fromisoformat(quiet.end)
    there = _at(moment, quiet.zone)
    now = there.time()
    if not (begin <= now < end if begin < end else now >= begin or now < end):
        return moment
    day = there.date() if now < end else there.date() + timedelta(days=1)
    return max(moment, _moment(datetime.combine(day, end, zone(quiet.zone))))


def _at(moment: int, name: str) -> datetime:
    return datetime.fromtimestamp(moment / 1_000, UTC).astimezone(zone(name))


def _moment(local: datetime) -> int:
    """Of a time that clocks skip: the same distance behind the change."""
    return round(local.timestamp() * 1_000)
