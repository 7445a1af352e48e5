"""Targets, queues and deliveries as the tests need them."""

from collections.abc import Callable
from typing import Any

from undercroft.base.clock import DAY
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import Delivery, NewDelivery, Outcome, Result, Target, TargetSettings
from undercroft.machinery.deliveries.webhook import WebhookAddress, address_json, meaning

NOW = 1_700_000_000_000 // DAY * DAY + 10 * 3_600_000
"""A Tuesday in 2023, ten o'clock."""
FAMILY = "timers"


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def answered(status: int | None, *, now: int = NOW, took_ms: int = 3, reply: str | None = None) -> Outcome:
    """What the webhook transport makes of an answer; None: there was none."""
    result, error = (Result.AGAIN, "no answer") if status is None else meaning(status)
    return Outcome(now, took_ms, result, status, error, reply)


def make_target(tx: Any, name: str = "hook", **limits: Any) -> Target:
    settings = TargetSettings(
        address_json(WebhookAddress(limits.pop("url", "http://127.0.0.1:9/"))),
        retries=limits.pop("retries", None),
        shown={"webhook_url": "127.0.0.1:9"},
    )
    given = {"concurrency": 32, "rate": None, "paused_at": None, "now": NOW, **limits}
    targets.put_target(tx, (FAMILY, "shop", name), "webhook", settings, **given)
    made = targets.find_target(tx, FAMILY, "shop", name)
    assert made is not None
    return made


def make_queue(tx: Any, name: str = "orders") -> int:
    return targets.queue_id(tx, FAMILY, "shop", name, NOW)


def put_in(
    tx: Any,
    count: int = 1,
    *,
    queue: int = 1,
    target: int = 1,
    planned_at: int | Callable[[int], int] = NOW,
    **more: Any,
) -> list[int]:
    """The ids of so many new deliveries, called job0, job1 …; `prefix` renames them, `now` is when they are made."""
    now = more.pop("now", NOW)
    prefix = more.pop("prefix", "job")
    moment = planned_at if callable(planned_at) else lambda _number: planned_at
    new = [NewDelivery(queue, f"{prefix}{n}", target, moment(n), f'{{"n":{n}}}', **more) for n in range(count)]
    made = store.insert(tx, new, now)
    return [made[key] for key in sorted(made, key=made.__getitem__)]


def row(tx: Any, id: int) -> Delivery:
    found = tx.one(f"SELECT {store.COLUMNS} FROM deliveries WHERE id = :id", id=id)
    assert found is not None, f"row {id} is lost"
    return Delivery._make(found)
