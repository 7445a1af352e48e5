"""What a page shows of messaging: sends and how far they are, what failed and why; and trying one of those again."""

from collections.abc import Sequence
from typing import NamedTuple

from undercroft.base.refusals import not_found
from undercroft.database import Transaction
from undercroft.families.messaging import failed
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.failed import subscription_of
from undercroft.families.messaging.model import SEND, Run
from undercroft.families.messaging.store import READY_ROWS, RUNS, SCHEDULES
from undercroft.families.messaging.tables import Window
from undercroft.machinery.deliveries.model import Delivery, State


class Send(NamedTuple):
    """`schedule`: in words. `before`: how many subscribers it has yet to look at, None where it is through."""

    run: Run
    schedule: str
    before: int | None


class Failure(NamedTuple):
    delivery: Delivery
    namespace: str
    subscription: str


def recent_sends(tx: Transaction, namespaces: Sequence[str] | None, limit: int) -> list[Send]:
    """Those that are under way, then the newest; None: of all namespaces."""
    where, values = _within(namespaces)
    every = f"SELECT {RUNS.columns} FROM messaging_runs WHERE purpose = :send{where}"
    still = tx.all(every + " AND finished_at IS NULL ORDER BY id LIMIT :limit", send=SEND, limit=limit, **values)
    newest = tx.all(every + " ORDER BY id DESC LIMIT :limit", send=SEND, limit=limit, **values)
    runs = [RUNS.made(row) for row in [*still, *(row for row in newest if row not in still)][:limit]]
    schedules = SCHEDULES.find_all(tx, {run.schedule for run in runs if run.schedule is not None})
    return [
        Send(
            run,
            f"{found.cron} {found.timezone}" if (found := schedules.get(run.schedule or 0)) else "a removed schedule",
            None if run.finished_at else _before(tx, run),
        )
        for run in runs
    ]


# Beyond so many nobody counts.
MOST_COUNTED = 10_000


def _before(tx: Transaction, run: Run) -> int:
    row = tx.one(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM messaging_subscriptions WHERE schedule = :schedule AND {READY_ROWS}"
        " AND number > :position AND number <= :last LIMIT :most) AS those",
        schedule=run.schedule,
        position=run.position,
        last=run.last,
        most=MOST_COUNTED,
    )
    return int(row[0]) if row else 0


def recent_failures(tx: Transaction, namespaces: Sequence[str] | None, limit: int) -> list[Failure]:
    """The newest first; one more than the limit where there are more."""
    found = [
        Failure(one, namespace, subscription_of(one))
        for namespace in (_all_namespaces(tx) if namespaces is None else namespaces)
        for one in failed.page(tx, namespace, Window(limit))
    ]
    return sorted(found, key=lambda one: -one.delivery.id)[: limit + 1]


def place_of_failure(tx: Transaction, id: int) -> str:
    """The namespace of a message that failed. Raises Refusal(NOT_FOUND)."""
    row = tx.one(
        "SELECT q.namespace FROM deliveries d JOIN queues q ON q.id = d.queue"
        " WHERE d.id = :id AND q.family = :family AND q.name = :name AND d.state = :dead",
        id=id,
        family=FAMILY,
        name=QUEUE,
        dead=int(State.DEAD),
    )
    if row is None:
        raise not_found("failure", "this message is no longer among those that failed")
    return str(row[0])


def try_again(tx: Transaction, id: int, ways: Ways, now: int) -> None:
    """As requeuing all does, with one: its subscription is sent its next message, or its last one again."""
    namespace = place_of_failure(tx, id)
    delivery = failed.find(tx, namespace, id)
    assert delivery is not None, "it was there above"
    failed.replay(tx, delivery, now, ways)


def _all_namespaces(tx: Transaction) -> list[str]:
    rows = tx.all(
        "SELECT namespace FROM queues WHERE family = :family AND name = :name ORDER BY namespace LIMIT 100",
        family=FAMILY,
        name=QUEUE,
    )
    return [namespace for (namespace,) in rows]


def _within(namespaces: Sequence[str] | None) -> tuple[str, dict[str, str]]:
    if namespaces is None:
        return "", {}
    if not namespaces:
        return " AND 1 = 0", {}
    values = {f"place{n}": name for n, name in enumerate(namespaces)}
    return f" AND namespace IN ({', '.join(':' + key for key in values)})", values
