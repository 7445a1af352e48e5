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
    routes = targets.target_ids(tx, FAMILY, {(order.db, order.job.route) for order in orders})
    queues = {
        place: targets.queue_id(tx, FAMILY, *place, now=orders[0].now)
        for place in {(order.db, order.collection) for order in orders if (order.db, order.job.route) in routes}
    }
    wanted: list[tuple[Order, NewDelivery] | Refusal] = [_wanted(order, routes, queues) for order in orders]
    fresh = [pair[1] for pair in wanted if isinstance(pair, tuple)]
    put_in = store.insert(tx, fresh, orders[0].now) if fresh else {}
    answers: list[str | Refusal] = []
    for pair in wanted:
        if isinstance(pair, Refusal):
            answers.append(pair)
        elif put_in.pop((pair[1].queue, pair[1].name, pair[1].idempotency_key), None) is not None:
            answers.append(pair[1].name)
        else:
            answers.append(_known_already(tx, *pair))
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


def _wanted(
    order: Order, routes: dict[tuple[str, str], int], queues: dict[tuple[str, str], int]
) -> tuple[Order, NewDelivery] | Refusal:
    target = routes.get((order.db, order.job.route))
    if target is None:
        return _unknown_route(order.db, order.job.route)
    return order, _delivery(order.job, queues[order.db, order.collection], target)


def _delivery(job: Job, queue: int, target: int) -> NewDelivery:
    return NewDelivery(
        queue,
        job.id,
        target,
        job.trigger_time,
        job.meta,
        kind=Kind.TICK if job.recurring else Kind.OUTWARD,
        options=job.options,
        idempotency_key=job.idempotency_key,
    )


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
