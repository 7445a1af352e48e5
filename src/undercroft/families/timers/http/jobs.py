"""Operations on single jobs; the POST also takes many."""

import asyncio
from typing import TypeVar

import msgspec

from undercroft.base.ids import sortable_id
from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Database, Transaction
from undercroft.families.timers import actions
from undercroft.families.timers.actions import Order, create_all_or_none, create_jobs
from undercroft.families.timers.http import shapes
from undercroft.families.timers.http.reading import check_limit, decode, place, read_cursor, write_cursor
from undercroft.families.timers.model import LONGEST_META, MOST_IN_BULK, Job, JobIn, check_job, options_of
from undercroft.families.timers.reasons import worded
from undercroft.families.timers.refusing import code_of
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import Attempt, Delivery, State, Target, public_state
from undercroft.machinery.operations import Reply, Request, json_reply

T = TypeVar("T")

_job = msgspec.json.Decoder(JobIn)
_jobs = msgspec.json.Decoder(list[JobIn])
_raw_jobs = msgspec.json.Decoder(list[msgspec.Raw])
_OK = json_reply(shapes.Done())
_PLAIN = shapes.CreateQuery()
# A job alone: its meta, and room for the rest.
LONGEST_SINGLE = 2 * LONGEST_META
# Values of a bulk, jobs and their fields and what is in them.
MOST_VALUES = 100 * MOST_IN_BULK
# Jobs that are checked before others have their turn: some ms.
CHECKED_AT_ONCE = 100
_NDJSON = ("application/x-ndjson", "application/jsonl", "application/ndjson")


class Jobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, request: Request) -> Reply:
        query = request.query(shapes.CreateQuery) if request.query_string else _PLAIN
        where = place(request)
        if request.body[:64].lstrip()[:1] == b"[" or _is_bulk(request):
            _check_size(request)
            return await self._create_many(request, where, query)
        if len(request.body) > LONGEST_SINGLE:
            raise Refusal(Kind.TOO_LARGE, "too_large", f"a single job takes {LONGEST_SINGLE} bytes at the most")
        job = decode(_job, request.body)
        made_id = "" if job.id is not None else sortable_id()
        checked = check_job(job, made_id, request.now, late=query.late is not None)
        order = Order(*where, checked, request.now, query.upsert)
        id = await self._database.batch(create_jobs, order)
        return _OK if job.id == id else json_reply(shapes.Created("ok", id))

    async def _create_many(self, request: Request, where: tuple[str, str], query: shapes.CreateQuery) -> Reply:
        late = query.late is not None
        if query.report:
            return await self._create_what_can_be(request, where, query)
        orders: list[Order] = []
        for position, job in enumerate(_all_jobs(request)):
            orders.append(Order(*where, _checked(position, job, request.now, late), request.now, query.upsert))
            await _let_others_in(position)
        ids = await self._database.write(create_all_or_none, orders) if orders else []
        return json_reply(shapes.BulkDone("ok", len(ids), ids))

    async def _create_what_can_be(self, request: Request, where: tuple[str, str], query: shapes.CreateQuery) -> Reply:
        orders: list[Order | Refusal] = []
        for position, item in enumerate(_items(request)):
            await _let_others_in(position)
            try:
                job = check_job(decode(_job, item), sortable_id(), request.now, late=query.late is not None)
                orders.append(Order(*where, job, request.now, query.upsert))
            except Refusal as refusal:
                orders.append(refusal)
        valid = [order for order in orders if isinstance(order, Order)]
        answers = iter(await self._database.write(create_jobs, valid) if valid else [])
        results = [_item(order, next(answers) if isinstance(order, Order) else order) for order in orders]
        created = sum(result.status == "ok" for result in results)
        return json_reply(shapes.BulkReport("ok" if created == len(results) else "partial", created, results))

    async def fetch(self, request: Request) -> Reply:
        query = request.query(shapes.DetailQuery)
        where, id = place(request), request.path["id"]
        if query.detail:
            return json_reply(await self._database.read(_read_detail, where, id))
        delivery, route = await self._database.read(_read, where, id)
        return json_reply(render(delivery, route))

    async def update(self, request: Request) -> Reply:
        query = request.query(shapes.UpdateQuery)
        where, id = place(request), request.path["id"]
        job = decode(_job, request.body)
        if job.id is not None and job.id != id:
            raise invalid("id_differs", f"the path is about {id!r}, the body about another job")
        late = query.late is not None
        await self._database.write(actions.update_job, where, id, job, request.now, late=late)
        return _OK

    async def delete(self, request: Request) -> Reply:
        await self._database.write(actions.delete_job, place(request), request.path["id"])
        return _OK

    async def attempts(self, request: Request) -> Reply:
        query = request.query(shapes.PageQuery)
        limit, after = check_limit(query.limit), read_cursor(query.cursor, 2)
        attempts = await self._database.read(_read_attempts, place(request), request.path["id"], after, limit + 1)
        page = attempts[:limit]
        following = (page[-1].delivery, page[-1].number) if len(attempts) > limit else None
        rendered = [_attempt(attempt) for attempt in page]
        return json_reply(shapes.AttemptList(rendered, write_cursor(following)))


def render(delivery: Delivery, route: Target) -> shapes.JobOut:
    return shapes.JobOut(delivery.name, delivery.planned_at, msgspec.Raw(delivery.body.encode()), route.name)


async def _let_others_in(position: int) -> None:
    """Ten thousand schedules take a second to check: what is due and who asks does not wait for that."""
    if position % CHECKED_AT_ONCE == 0:
        await asyncio.sleep(0)


def _checked(position: int, job: JobIn, now: int, late: bool) -> Job:
    try:
        return check_job(job, "" if job.id else sortable_id(), now, late=late)
    except Refusal as refusal:
        raise invalid("bulk", f"job {position}: {refusal.message}") from None


def _all_jobs(request: Request) -> list[JobIn]:
    if not _is_bulk(request):
        return _not_too_many(decode(_jobs, request.body))
    return [decode(_job, item) for item in _items(request)]


def _check_size(request: Request) -> None:
    """Before it is decoded, which would take seconds for millions of tiny values and hold everybody up.

    Counting is a hundred times as quick. Raises Refusal(INVALID, "body").
    """
    body = request.body
    if body.count(b",") > MOST_VALUES or (_is_bulk(request) and body.count(b"\n") > MOST_IN_BULK):
        raise invalid("body", f"{MOST_IN_BULK} jobs, of {MOST_VALUES} values together, are the most in one request")


def _is_bulk(request: Request) -> bool:
    content_type = request.header(b"content-type")
    if content_type == "application/json":  # nearly always, and nothing to take apart
        return False
    return content_type is not None and content_type.partition(";")[0].strip().lower() in _NDJSON


def _items(request: Request) -> list[bytes]:
    if _is_bulk(request):
        return _not_too_many([line for line in request.body.split(b"\n") if line.strip()])
    return [bytes(item) for item in _not_too_many(decode(_raw_jobs, request.body))]


def _not_too_many(items: list[T]) -> list[T]:
    if len(items) > MOST_IN_BULK:
        raise invalid("body", f"{MOST_IN_BULK} jobs at the most in one request; these are {len(items)}")
    return items


def _item(order: Order | Refusal, answer: str | Refusal) -> shapes.BulkItem:
    id = order.job.id if isinstance(order, Order) else None
    if isinstance(answer, Refusal):
        return shapes.BulkItem(id, "refused", answer.message, code_of(answer))
    return shapes.BulkItem(answer, "ok")


def _read(tx: Transaction, where: tuple[str, str], id: str) -> tuple[Delivery, Target]:
    delivery = actions.require(tx, where, id)
    return delivery, targets.targets_by_id(tx, {delivery.target})[delivery.target]


def _read_detail(tx: Transaction, where: tuple[str, str], id: str) -> shapes.JobDetail:
    delivery, route = _read(tx, where, id)
    options = options_of(delivery.options)
    last = store.last_attempt(tx, delivery.id)
    return shapes.JobDetail(
        **msgspec.structs.asdict(render(delivery, route)),
        state=public_state(delivery.state, delivery.attempts),
        attempts=delivery.attempts,
        last_outcome=last and _outcome(last),
        next_attempt=_next_attempt(delivery),
        reason=worded(delivery.reason),
        created_at=delivery.created_at,
        cron=options.cron,
        timezone=options.timezone,
        retries=None if options.retries is None else list(options.retries),
    )


def _attempt(one: Attempt) -> shapes.AttemptOut:
    return shapes.AttemptOut(one.number, one.started_at, one.took_ms, one.status, one.error, one.reply)


def _outcome(last: Attempt) -> shapes.LastOutcome:
    return shapes.LastOutcome(last.started_at, last.took_ms, last.status, last.error)


def _next_attempt(delivery: Delivery) -> int | None:
    match delivery.state:
        case State.FILED:
            return delivery.planned_at
        case State.SCHEDULED | State.HELD:
            return delivery.due_at
        case _:
            return None


def _read_attempts(
    tx: Transaction, where: tuple[str, str], id: str, after: tuple[int, int], limit: int
) -> list[Attempt]:
    return store.attempts_of(tx, actions.require(tx, where, id).id, after, limit)
