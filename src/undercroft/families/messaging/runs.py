"""Runs: what one firing of a schedule does, in steps of a bounded number of subscriptions.

A step is one transaction: it takes the next subscriptions behind the run's position, queues their messages and moves
the position. So a million of them never are in memory, and a node that dies in the middle leaves nobody out and does
nobody twice. No more than MOST_AHEAD of a run's messages are under way at once; who comes later waits as what they
are, a subscription.
"""

import structlog

from undercroft.base.clock import SECOND
from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.model import SEND, Run, Schedule, Subscription
from undercroft.families.messaging.sending import Occasion, queue_messages
from undercroft.families.messaging.store import READY_ROWS, RUNS, SCHEDULES, SUBSCRIPTIONS, locked_subscriptions
from undercroft.machinery.deliveries import claims, store, targets
from undercroft.machinery.deliveries.model import NO_TARGET, Delivery, Kind, NewDelivery, State
from undercroft.machinery.recurrence import next_occurrence

log = structlog.get_logger()

TICKS = "schedules"
PER_STEP = 250
MOST_AHEAD = 2_000
# A run whose receiver takes nothing goes on this often (ms) all the same: another set of it may have another one.
STALLED = 5 * SECOND


def plan(tx: Transaction, schedule: Schedule, now: int) -> None:
    """Let the schedule fire by itself: its tick is made, or moved to its next moment by the present fields."""
    queue = targets.queue_id(tx, FAMILY, schedule.namespace, TICKS, now)
    moment = next_occurrence(schedule.cron, schedule.timezone, now)
    tick = NewDelivery(queue, str(schedule.id), NO_TARGET, moment, "", kind=Kind.TICK)
    known = store.find_one(tx, queue, tick.name)
    if known is None:
        store.insert(tx, [tick], now)
    else:
        store.replace(tx, known, tick, now)


def unplan(tx: Transaction, schedule: Schedule) -> None:
    queue = targets.find_queue(tx, FAMILY, schedule.namespace, TICKS)
    known = store.find_one(tx, queue.id, str(schedule.id)) if queue else None
    if known is not None:
        store.delete(tx, [store.seen(known)])


def tick(tx: Transaction, ticks: list[Delivery], now: int) -> None:
    """The hook `due`: a run for each schedule that fires, and each on to its next moment. Moments missed while the
    server was down are made up for by one run."""
    schedules = SCHEDULES.find_all(tx, {int(one.name) for one in ticks})
    onward = []
    for one in ticks:
        schedule = schedules.get(int(one.name))
        if schedule is None:
            claims.put_back(tx, [one], State.DEAD, now, "its schedule was removed")
            continue
        try:
            onward.append(
                (one.id, one.claims, next_occurrence(schedule.cron, schedule.timezone, max(now, one.planned_at)))
            )
        except Refusal as refusal:  # its time zone may be gone from a newer tz database
            claims.put_back(tx, [one], State.DEAD, now, refusal.message)
            continue
        start(tx, schedule, now, one.planned_at)
    store.reschedule(tx, onward, now)


def start(tx: Transaction, schedule: Schedule, now: int, planned_at: int | None = None) -> int:
    """Begin a run for whoever is subscribed at this moment; its id. By hand, one that waits for its first step will do:
    a thousand requests are no thousand runs."""
    waiting = _waiting(tx, schedule) if planned_at is None else None
    if waiting is not None:
        tx.run("UPDATE messaging_runs SET last = :last WHERE id = :id", last=_last_number(tx), id=waiting)
        return waiting
    return _start(tx, schedule.namespace, SEND, now, schedule.id, planned_at)


def _waiting(tx: Transaction, schedule: Schedule) -> int | None:
    row = tx.one(
        "SELECT id FROM messaging_runs WHERE finished_at IS NULL AND purpose = :send AND schedule = :schedule"
        " AND steps = 0 AND planned_at IS NULL LIMIT 1 {locked}",
        send=SEND,
        schedule=schedule.id,
    )
    return None if row is None else int(row[0])


def start_search(tx: Transaction, namespace: str, purpose: int, now: int) -> int:
    return _start(tx, namespace, purpose, now, None, None)


def _start(
    tx: Transaction, namespace: str, purpose: int, now: int, schedule: int | None, planned_at: int | None
) -> int:
    values = {
        "namespace": namespace,
        "purpose": purpose,
        "schedule": schedule,
        "planned_at": planned_at,
        "started_at": now,
        "position": 0,
        "last": _last_number(tx),
    }
    run = RUNS.insert(tx, values)
    assert run is not None, "nothing in it is unique"
    return run.id


def _last_number(tx: Transaction) -> int:
    last = tx.one("SELECT MAX(number) FROM messaging_subscriptions")
    return (last[0] if last else None) or 0


class Runs:
    """`step` is what the loop does."""

    def __init__(self, database: Database, ways: Ways) -> None:
        self._database = database
        self._ways = ways

    async def step(self, now: int) -> bool:
        """Carry one run on; whether there may be more to do at once."""
        if not await self._database.read(_any_open):
            return False
        try:
            return await self._database.write(carry_on, self._ways, now)
        except Refusal:
            raise
        except Exception:
            # A fault of one run must not keep the others waiting: it goes to the end of the line.
            log.exception("run_failed")
            await self._database.write(_take, now)
            return False


def _any_open(tx: Transaction) -> bool:
    found = tx.one("SELECT 1 FROM messaging_runs WHERE finished_at IS NULL AND purpose = :send LIMIT 1", send=SEND)
    return found is not None


def carry_on(tx: Transaction, ways: Ways, now: int) -> bool:
    """The next piece of the run that has waited longest; whether anything was done."""
    run = _take(tx, now)
    if run is None:
        return False
    schedule = SCHEDULES.find_all(tx, {run.schedule or 0}).get(run.schedule or 0)
    these = [] if schedule is None else _ready(tx, run)
    # Looked at once more, locked: somebody may opt out at this moment. The step is as long as what was seen first.
    standing = locked_subscriptions(tx, [one.number for one in these if not one.under_way])
    free = [one for one in standing if one.is_ready and not one.under_way and one.schedule == run.schedule]
    why = Occasion(now, run.planned_at, schedule, run.id)
    queued = queue_messages(tx, run.namespace, free, ways, why)
    done = len(these) < PER_STEP
    tx.run(
        "UPDATE messaging_runs SET position = :position, queued = queued + :queued, skipped = skipped + :skipped,"
        " left_house = left_house + :later, finished_at = :finished_at WHERE id = :id",
        id=run.id,
        position=these[-1].number if these else run.last,
        queued=queued.messages,
        later=queued.later,  # in the receivers' own time: the run does not wait for them
        skipped=len(these) - queued.messages,
        finished_at=now if done else None,
    )
    return True


def _take(tx: Transaction, now: int) -> Run | None:
    """Counted up first, which keeps other nodes from the same run until this step is over."""
    row = tx.one(
        f"""
        UPDATE messaging_runs SET steps = steps + 1, stepped_at = :now
        WHERE id = (SELECT id FROM messaging_runs
                    WHERE finished_at IS NULL AND purpose = :send
                      AND (queued - left_house < :most OR stepped_at < :stalled)
                    ORDER BY stepped_at, id LIMIT 1 {{skip_locked}})
        RETURNING {RUNS.columns}
        """,
        now=now,
        send=SEND,
        most=MOST_AHEAD,
        stalled=now - STALLED,
    )
    return None if row is None else RUNS.made(row)


def _ready(tx: Transaction, run: Run) -> list[Subscription]:
    rows = tx.all(
        f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions"
        f" WHERE schedule = :schedule AND {READY_ROWS}"
        " AND number > :position AND number <= :last ORDER BY number LIMIT :limit",
        schedule=run.schedule,
        position=run.position,
        last=run.last,
        limit=PER_STEP,
    )
    return [SUBSCRIPTIONS.made(row) for row in rows]
