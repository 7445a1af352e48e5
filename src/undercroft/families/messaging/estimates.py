"""How much will be sent: of the week's days, from the schedules of those who are ready."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from undercroft.base.clock import DAY
from undercroft.database import Transaction
from undercroft.families.messaging.behind import moments
from undercroft.families.messaging.model import Schedule
from undercroft.families.messaging.store import READY_ROWS, SCHEDULES, SETS

DAYS = 7


class Load(NamedTuple):
    """What waits for one schedule in one set."""

    schedule: int
    messageset: int
    subscriptions: int
    identities: int


class Estimate(NamedTuple):
    send_date: str
    messageset: int
    subscriptions: int
    identities: int


def loads(tx: Transaction, namespace: str) -> list[Load]:
    rows = tx.all(
        "SELECT schedule, messageset, COUNT(*), COUNT(DISTINCT identity) FROM messaging_subscriptions"
        f" WHERE namespace = :namespace AND {READY_ROWS}"
        " GROUP BY schedule, messageset",
        namespace=namespace,
    )
    return [Load._make(row) for row in rows]


def estimate(tx: Transaction, namespace: str, now: int) -> list[Estimate]:
    """For each of the next seven days what every set will send, counting a schedule once a day."""
    waiting = loads(tx, namespace)
    schedules = SCHEDULES.find_all(tx, {one.schedule for one in waiting})
    midnight = now // DAY * DAY
    totals: dict[tuple[int, int], list[int]] = {}
    for one in waiting:
        schedule = schedules.get(one.schedule)
        days = {moment // DAY for moment in _first_of_days(schedule, midnight)} if schedule else ()
        for day in days:
            total = totals.setdefault((day, one.messageset), [0, 0])
            total[0] += one.subscriptions
            total[1] += one.identities
    return [Estimate(_date(day), messageset, *total) for (day, messageset), total in sorted(totals.items())]


def put(tx: Transaction, namespace: str, found: list[Estimate], now: int) -> None:
    tx.each(
        "INSERT INTO messaging_estimates (send_date, messageset, subscriptions, identities, namespace, created_at)"
        " SELECT r.*, CAST(:namespace AS TEXT), CAST(:now AS BIGINT) FROM {rows}",
        "send_date TEXT, messageset BIGINT, subscriptions BIGINT, identities BIGINT",
        found,
        namespace=namespace,
        now=now,
    )


def set_names(tx: Transaction, namespace: str) -> list[tuple[str, str]]:
    """(content type, short name) of every set."""
    rows = tx.all(
        f"SELECT {SETS.columns} FROM messaging_sets WHERE namespace = :namespace ORDER BY id", namespace=namespace
    )
    return [(one.content_type, one.short_name) for one in map(SETS.made, rows)]


def _first_of_days(schedule: Schedule, midnight: int) -> list[int]:
    found = []
    for day in range(DAYS):
        begin = midnight + day * DAY
        first = next(moments(schedule, begin - 1, begin + DAY - 1), None)
        if first is not None:
            found.append(first)
    return found


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")
