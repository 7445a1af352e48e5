"""Recurring jobs: at each tick the job spawns one delivery, a run, and moves itself to its next moment.

Moments missed while the server was down or the route paused are made up for by one run, not by many.
"""

from datetime import UTC, datetime

import msgspec

from undercroft.base.ids import sortable_id
from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.families.timers.model import Recurrence, options_of
from undercroft.machinery.deliveries import claims, store
from undercroft.machinery.deliveries.model import Delivery, NewDelivery, State
from undercroft.machinery.recurrence import next_occurrence

# Runs of one name and moment that are told apart by numbers.
MOST_NUMBERED = 9


def spawn_due(tx: Transaction, ticks: list[Delivery], now: int) -> None:
    """The hook `due`: one run for each tick, and each tick on to its next moment."""
    onward = {}
    for tick in ticks:
        options = options_of(tick.options)
        try:
            assert options.cron is not None, "only recurring jobs tick"
            onward[tick.id] = next_occurrence(options.cron, options.timezone, max(now, tick.planned_at))
        except Refusal as refusal:  # its time zone may be gone from a newer tz database
            claims.put_back(tx, [tick], State.DEAD, now, refusal.message)
    moving = [tick for tick in ticks if tick.id in onward]
    _spawn(tx, moving, now)
    store.reschedule(tx, [(tick.id, tick.claims, onward[tick.id]) for tick in moving], now)


def end_runs(tx: Transaction, ids: list[int]) -> set[int]:
    """End what the recurring ones of these jobs have spawned and not delivered; those that have a run under way.

    Their own rows are taken hold of first: PostgreSQL may be spawning a run of theirs at this moment, which we would
    not see, and which would fire after its job was deleted.
    """
    recurring = tx.each(
        "UPDATE deliveries SET revision = revision FROM {rows} WHERE deliveries.id = r.id AND kind = 1"
        " RETURNING deliveries.id",
        "id BIGINT",
        [(id,) for id in ids],
    )
    runs = tx.each(
        "SELECT id, revision, state, parent FROM deliveries"
        " WHERE parent IS NOT NULL AND state < 4 AND parent IN (SELECT r.id FROM {rows})",
        "id BIGINT",
        recurring,
    )
    busy = {parent for _, _, state, parent in runs if state == State.SENDING}
    ended = store.delete(tx, [(id, revision, state) for id, revision, state, parent in runs if parent not in busy])
    return busy | {parent for id, _, _, parent in runs if id not in ended}


def _spawn(tx: Transaction, ticks: list[Delivery], now: int) -> None:
    """One run each. Its name may be taken, by somebody's own job or by a run before a change of the schedule: then it
    is numbered; and where these are taken too it ends in letters that nobody has."""
    for number in range(1, MOST_NUMBERED + 1):
        runs = {tick.id: _run(tick, f"#{number}" if number > 1 else "") for tick in ticks}
        put_in = store.insert(tx, list(runs.values()), now)
        ticks = [tick for tick in ticks if (tick.queue, runs[tick.id].name, None) not in put_in]
        if not ticks:
            return
    store.insert(tx, [_run(tick, f"#{sortable_id()}") for tick in ticks], now)


def _run(tick: Delivery, ending: str) -> NewDelivery:
    moment = datetime.fromtimestamp(tick.planned_at // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    retries = options_of(tick.options).retries
    options = None if retries is None else msgspec.json.encode(Recurrence(retries=retries)).decode()
    name = f"{tick.name}@{moment}{ending}"
    return NewDelivery(tick.queue, name, tick.target, tick.planned_at, tick.body, options=options, parent=tick.id)
