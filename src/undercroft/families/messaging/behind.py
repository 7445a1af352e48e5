"""Who should be further than they are: found in steps of many, and brought to where they should be."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging import subscriptions
from undercroft.families.messaging.arithmetic import MINUTE, Place, Series, Standing, standing
from undercroft.families.messaging.ids import new_uuid
from undercroft.families.messaging.model import COMPLETED, FIND, MessageSet, Run, Schedule, Subscription
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.firing import happened
from undercroft.families.messaging.rules.matching import Event
from undercroft.families.messaging.runs import start_search
from undercroft.families.messaging.store import RUNS, SCHEDULES, SETS, SUBSCRIPTIONS
from undercroft.families.messaging.under_way import recall
from undercroft.machinery.recurrence import next_occurrence

PER_STEP = 1_000


class Course(NamedTuple):
    """What this arithmetic needs of a namespace: its sets, their schedules, and the numbers by set and language."""

    sets: Mapping[int, MessageSet]
    schedules: Mapping[int, Schedule]
    numbers: Mapping[tuple[int, str], list[int]]


def course_of(tx: Transaction, namespace: str) -> Course:
    sets = {row[0]: SETS.made(row) for row in tx.all(
        f"SELECT {SETS.columns} FROM messaging_sets WHERE namespace = :namespace", namespace=namespace)}  # fmt: skip
    schedules = {row[0]: SCHEDULES.made(row) for row in tx.all(
        f"SELECT {SCHEDULES.columns} FROM messaging_schedules WHERE namespace = :namespace",
        namespace=namespace)}  # fmt: skip
    numbers: dict[tuple[int, str], list[int]] = {}
    for messageset, lang, number in tx.all(
        "SELECT messageset, lang, sequence_number FROM messaging_messages WHERE namespace = :namespace"
        " ORDER BY sequence_number",
        namespace=namespace,
    ):
        numbers.setdefault((messageset, lang), []).append(number)
    return Course(sets, schedules, numbers)


def standing_of(one: Subscription, course: Course, now: int) -> Standing:
    """Of its own schedule in its present set, and of the default ones in those behind it."""

    def runs(messageset: int, created_at: int) -> Iterator[int]:
        own = messageset == one.messageset and created_at == one.created_at
        id = one.schedule if own else course.sets[messageset].default_schedule
        schedule = course.schedules.get(id)
        return iter(()) if schedule is None else moments(schedule, created_at, now)

    series = {id: Series(course.numbers.get((id, one.lang), []), each.next_set) for id, each in course.sets.items()}
    return standing(one.messageset, one.initial_sequence_number, one.next_sequence_number, one.created_at, series, runs)


def moments(schedule: Schedule, after: int, until: int) -> Iterator[int]:
    """At which the schedule fires, later than the one and not later than the other."""
    moment = after
    while True:
        try:
            moment = next_occurrence(schedule.cron, schedule.timezone, moment)
        except Refusal:
            return
        if moment > until:
            return
        yield moment


class Search:
    """`step` is what the loop does: the next thousand of the oldest search."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self, now: int) -> bool:
        run = await self._database.read(_oldest)
        if run is None:
            return False
        # Reading and reckoning in a reader's thread: the writer has other things to do.
        found, these, more = await self._database.read(_look, run, now)
        await self._database.write(_write_down, run, found, these, now, more=more)
        return True


def start(tx: Transaction, namespace: str, now: int) -> int:
    return start_search(tx, namespace, FIND, now)


Found = list[tuple[Subscription, Standing]]


def _oldest(tx: Transaction) -> Run | None:
    row = tx.one(
        f"SELECT {RUNS.columns} FROM messaging_runs WHERE finished_at IS NULL AND purpose = :find ORDER BY id LIMIT 1",
        find=FIND,
    )
    return None if row is None else RUNS.made(row)


def _look(tx: Transaction, run: Run, now: int) -> tuple[Found, int, bool]:
    """Those who are behind, the position up to which was looked, and whether there are more."""
    course = course_of(tx, run.namespace)
    rows = tx.all(
        f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions"
        " WHERE namespace = :namespace AND number > :position AND number <= :last ORDER BY number LIMIT :limit",
        namespace=run.namespace,
        position=run.position,
        last=run.last,
        limit=PER_STEP,
    )
    these = [SUBSCRIPTIONS.made(row) for row in rows]
    ready = [one for one in these if one.is_ready and course.numbers.get((one.messageset, one.lang))]
    found = [(one, stands) for one in ready if (stands := standing_of(one, course, now)).behind]
    return found, these[-1].number if these else run.last, len(these) == PER_STEP


def _write_down(tx: Transaction, run: Run, found: Found, position: int, now: int, *, more: bool) -> None:
    moved = tx.one(
        "UPDATE messaging_runs SET position = :position, queued = queued + :found, finished_at = :finished_at"
        " WHERE id = :id AND position = :before AND finished_at IS NULL RETURNING id",
        id=run.id,
        position=position,
        before=run.position,
        found=len(found),
        finished_at=None if more else now,
    )
    if moved is None:  # another node was quicker with this piece
        return
    tx.each(
        "INSERT INTO messaging_behind (subscription, messages_behind, current_messageset, current_sequence_number,"
        " expected_messageset, expected_sequence_number, namespace, created_at)"
        " SELECT r.*, CAST(:namespace AS TEXT), CAST(:now AS BIGINT) FROM {rows}",
        "subscription TEXT, behind BIGINT, current_set BIGINT, current_number BIGINT, expected_set BIGINT,"
        " expected_number BIGINT",
        [
            (one.id, stands.behind, one.messageset, one.next_sequence_number,
             stands.expected.messageset, stands.expected.number)
            for one, stands in found
        ],
        namespace=run.namespace,
        now=now,
    )  # fmt: skip


def fast_forward(tx: Transaction, namespace: str, id: str, now: int) -> list[str]:
    """Bring it to where it should be by now, without sending what lies between; the ids of what it now consists of."""
    one = subscriptions.require(tx, namespace, id, locked=True)
    course = course_of(tx, namespace)
    if not one.is_ready or not course.numbers.get((one.messageset, one.lang)):
        return [one.id]
    stands = standing_of(one, course, now)
    if not stands.behind:
        return [one.id]
    if one.under_way:
        recall(tx, one)
    ids, passed = [one.id], []
    for position, place in enumerate(stands.path):
        state = {"next_sequence_number": place.number, "under_way": 0, "updated_at": now}
        if place.complete:
            state |= {"completed": 1, "active": 0, "process_status": COMPLETED}
        if position == 0:
            row = SUBSCRIPTIONS.update(tx, one.number, state)
        else:
            ids.append(new_uuid())
            row = SUBSCRIPTIONS.insert(tx, {**_begun(one, ids[-1], place, course), **state})
        assert row is not None, "it is there, or its id is new"
        passed += _passed(row, one.next_sequence_number if position == 0 else 1, place, course)
    happened(tx, passed, now)
    return ids


def _begun(one: Subscription, id: str, place: Place, course: Course) -> dict[str, Any]:
    """On a set that follows: a minute behind the run that completed the set before, which is not this one's. (§8)"""
    return {
        "id": id,
        "namespace": one.namespace,
        "version": 1,
        "identity": one.identity,
        "messageset": place.messageset,
        "lang": one.lang,
        "active": 1,
        "completed": 0,
        "schedule": course.sets[place.messageset].default_schedule,
        "process_status": 0,
        "initial_sequence_number": 1,
        "created_at": place.created_at + MINUTE,
        "rule_depth": one.rule_depth,
    }


def _passed(row: Subscription, begin: int, place: Place, course: Course) -> list[Event]:
    """What rules are told: the messages that it went past, and the end of the set."""
    numbers = course.numbers.get((place.messageset, row.lang), [])
    past = [events.reached(row, n) for n in numbers if begin <= n and (place.complete or n < place.number)]
    return [*past, events.completed(row)] if place.complete else past
