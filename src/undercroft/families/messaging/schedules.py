"""What can be done with schedules."""

from typing import Any

from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.families.messaging import runs
from undercroft.families.messaging.errors import Wrong, in_use, missing
from undercroft.families.messaging.given import Given, check
from undercroft.families.messaging.model import Schedule
from undercroft.families.messaging.store import SCHEDULES

CRON_FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
_DEFAULTS = {**dict.fromkeys(CRON_FIELDS, "*"), "timezone": "UTC"}


def create(tx: Transaction, namespace: str, given: Given, now: int) -> Schedule:
    """Kept, and fires by itself from now on."""
    check(tx, namespace, given)
    made = SCHEDULES.insert(tx, {**_DEFAULTS, **given.values, "namespace": namespace, "created_at": now})
    assert made is not None, "nothing in it is unique"
    _plan(tx, made, now)
    return made


def change(tx: Transaction, namespace: str, id: int, given: Given, now: int) -> Schedule:
    schedule = require(tx, namespace, id)
    check(tx, namespace, given)
    changed = SCHEDULES.update(tx, id, given.values) if given.values else schedule
    assert changed is not None, "it was there above"
    if (changed.cron, changed.timezone) != (schedule.cron, schedule.timezone):
        _plan(tx, changed, now)
    return changed


def delete(tx: Transaction, namespace: str, id: int, _now: int) -> None:
    """Raises Refusal(CONFLICT) while a set or a subscription goes by it."""
    schedule = require(tx, namespace, id, locked=True)  # from here on nobody refers to it anew
    if tx.one("SELECT 1 FROM messaging_sets WHERE default_schedule = :id LIMIT 1", id=id):
        raise in_use("The schedule is in use: message sets have it as their default_schedule. Give them another first.")
    if tx.one("SELECT 1 FROM messaging_subscriptions WHERE schedule = :id LIMIT 1", id=id):
        raise in_use("The schedule is in use: subscriptions go by it. Move or delete them first.")
    if tx.one("SELECT 1 FROM messaging_rules WHERE schedule = :id LIMIT 1", id=id):
        raise in_use("The schedule is in use: rules subscribe to it. Change or remove them first.")
    runs.unplan(tx, schedule)
    SCHEDULES.delete(tx, id)


def fire(tx: Transaction, namespace: str, id: int, now: int) -> int:
    """Send everybody who goes by it the next message now; the run's id."""
    return runs.start(tx, require(tx, namespace, id), now)


def require(tx: Transaction, namespace: str, id: int, *, locked: bool = False) -> Schedule:
    found = SCHEDULES.find(tx, namespace, id, locked=locked)
    if found is None:
        raise missing()
    return found


def _plan(tx: Transaction, schedule: Schedule, now: int) -> None:
    try:
        runs.plan(tx, schedule, now)
    except Refusal as refusal:  # each field is right, and together they name no day, such as 30 February
        wrong: dict[str, Any] = {"day_of_month": [refusal.message]}
        raise Wrong(wrong) from None
