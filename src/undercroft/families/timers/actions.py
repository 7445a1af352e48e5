"""What can be done with jobs; one transaction's worth of meaning each."""

from typing import NamedTuple

import msgspec

from undercroft.base.refusals import Refusal, conflict, invalid, not_found, unavailable
from undercroft.database import Transaction
from undercroft.families.timers.model import Job, JobIn, check_job, merge, options_of
from undercroft.families.timers.runs import end_runs
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import PENDING_LIMIT, Delivery, Kind, NewDelivery, State

FAMILY = "timers"


class Order(NamedTuple):
    """A job to be created, and where."""

    db: str
    collection: str
    job: Job
    now: int
    upsert: bool = False


def create_jobs(tx: Transaction, orders: list[Order]) -> list[str | Refusal]:
    """Create each; its id, or why not. A known id with the same content is a retry and succeeds."""
    lines = _lines(tx, orders)
    wanted = [_wanted(order, lines) for order in orders]
    put_in = store.insert(tx, [new for new in wanted if isinstance(new, NewDelivery)], orders[0].now)
    answers: list[str | Refusal] = []
    for order, new in zip(orders, wanted, strict=True):
        if isinstance(new, Refusal):
            answers.append(new)
        elif put_in.pop((new.queue, new.name, new.idempotency_key), None) is not None:
            answers.append(new.name)
        else:
            answers.append(_known_already(tx, order, new))
    return answers


def create_all_or_none(tx: Transaction, orders: list[Order]) -> list[str]:
    """Create every one of them.

    Raises Refusal(INVALID, "bulk") that names the first one refused; then none is created.
    """
    ids = []
    for position, answer in enumerate(create_jobs(tx, orders)):
        if isinstance(answer, Refusal):
            raise invalid("bulk", f"job {position} ({orders[position].job.id!r}): {answer.message}")
        ids.append(answer)
    return ids


def update_job(
    tx: Transaction, place: tuple[str, str], id: str, update: JobIn, now: int, *, late: bool = False
) -> None:
    """Change what the update names; the job begins a new life at its (new) time."""
    delivery = require(tx, place, id)
    route = targets.targets_by_id(tx, {delivery.target}).get(delivery.target)
    options = options_of(delivery.options)
    if delivery.state >= PENDING_LIMIT and update.moment() is None and update.cron is None:
        raise invalid("past", f"the job {id!r} has had its end; give it a new trigger_time to fire it again")
    stored = {
        "trigger_time": delivery.planned_at,
        "meta": msgspec.Raw(delivery.body.encode()),
        "route": route.name if route else None,
        "cron": options.cron,
        "timezone": options.timezone,
        "retries": None if options.retries is None else list(options.retries),
    }
    job = check_job(merge(update, stored), id, now, late=late)
    found = targets.target_ids(tx, FAMILY, {(place[0], job.route)})
    if (place[0], job.route) not in found:
        raise _unknown_route(place[0], job.route)
    new = _delivery(job, delivery.queue, found[place[0], job.route])
    if end_runs(tx, [delivery.id]) or not store.replace(tx, delivery, new, now):
        raise _in_flight(id)


def delete_job(tx: Transaction, place: tuple[str, str], id: str) -> None:
    """After this it does not fire any more; refused while a delivery of it is under way."""
    delivery = require(tx, place, id)
    if end_runs(tx, [delivery.id]) or not store.delete(tx, [store.seen(delivery)]):
        raise _in_flight(id)


def require(tx: Transaction, place: tuple[str, str], id: str) -> Delivery:
    queue = targets.find_queue(tx, FAMILY, *place)
    delivery = store.find_one(tx, queue.id, id) if queue else None
    if delivery is None:
        raise not_found("unknown_job", f"there is no job {id!r} in {place[0]}/{place[1]}")
    return delivery


def _lines(tx: Transaction, orders: list[Order]) -> dict[targets.Line, tuple[int, int]]:
    """The queue and the target of each line whose route exists; its collection is made when it is new."""
    found = targets.find_lines(tx, FAMILY, {(order.db, order.collection, order.job.route) for order in orders})
    return {
        line: (queue if queue is not None else targets.queue_id(tx, FAMILY, *line[:2], now=orders[0].now), target)
        for line, (queue, target) in found.items()
        if target is not None
    }


def _wanted(order: Order, lines: dict[targets.Line, tuple[int, int]]) -> NewDelivery | Refusal:
    line = lines.get((order.db, order.collection, order.job.route))
    return _unknown_route(order.db, order.job.route) if line is None else _delivery(order.job, *line)


def _delivery(job: Job, queue: int, target: int) -> NewDelivery:
    kind = Kind.TICK if job.recurring else Kind.OUTWARD
    return NewDelivery(queue, job.id, target, job.trigger_time, job.meta, kind, job.options, job.idempotency_key)


def _known_already(tx: Transaction, order: Order, new: NewDelivery) -> str | Refusal:
    """The id (or the idempotency key) is taken: a retry, an upsert, or a conflict."""
    if new.idempotency_key is not None:
        earlier = store.find_by_key(tx, new.queue, new.idempotency_key)
        if earlier is not None:
            if _same_content(earlier, new):
                return earlier.name
            return conflict("key_used", f"the idempotency_key {new.idempotency_key!r} was used for another job")
    known = store.find_one(tx, new.queue, new.name)
    if known is None:  # deleted since: PostgreSQL lets others commit between our statements
        put_in = store.insert(tx, [new], order.now)
        return new.name if put_in else unavailable("others change this job at the same moment; try again")
    if _same_content(known, new):
        if new.idempotency_key is not None and known.idempotency_key is None:
            store.give_key(tx, known.id, new.idempotency_key)
        return new.name
    if not order.upsert:
        return conflict("exists", f"a job {new.name!r} exists and has other content; ?upsert=1 replaces it")
    if known.state == State.DELIVERED and known.planned_at == new.planned_at:
        return invalid("past", f"the job {new.name!r} was delivered; give it a new trigger_time to fire it again")
    if end_runs(tx, [known.id]) or not store.replace(tx, known, new, order.now):
        return _in_flight(new.name)
    return new.name


def _same_content(known: Delivery, new: NewDelivery) -> bool:
    same_time = known.planned_at == new.planned_at or known.kind == new.kind == Kind.TICK
    return same_time and (known.body, known.target, known.options) == (new.body, new.target, new.options)


def _unknown_route(db: str, route: str) -> Refusal:
    return invalid("unknown_route_of_job", f"there is no route {route!r} in {db!r}; POST /route/{db} makes one")


def _in_flight(id: str) -> Refusal:
    return conflict("in_flight", f"the job {id!r} is being delivered at this moment; try again when that has ended")
