"""Who should be further than they are, found in steps of many."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging.arithmetic import Series, Standing, standing
from undercroft.families.messaging.model import FIND, MessageSet, Run, Schedule, Subscription
from undercroft.families.messaging.runs import start_search
from undercroft.families.messaging.store import RUNS, SCHEDULES, SETS, SUBSCRIPTIONS
from undercroft.machinery.recurrence import next_occurrence

PER_STEP = 1_000


class Course(NamedTuple):
    """What this arithmetic needs of a namespace: its sets, their schedules, and the numbers by set and language."""

    sets: Mapping[int, MessageSet]
    schedules: Mapping[int, Schedule]
    numbers: Mapping[tuple[int, str], list[int]]


def course_of(tx: Transaction, namespace: str) -> Course:
    """All that says how far a subscriber should be: read once for a whole search."""
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
    """Begin a search; its id. One that waits for its first step will do: a thousand requests are no thousand."""
    waiting = tx.one(
        "UPDATE messaging_runs SET last = (SELECT COALESCE(MAX(number), 0) FROM messaging_subscriptions)"
        " WHERE id = (SELECT id FROM messaging_runs WHERE finished_at IS NULL AND purpose = :find"
        " AND namespace = :namespace AND position = 0 LIMIT 1 {locked}) RETURNING id",
        find=FIND,
        namespace=namespace,
    )
    return start_search(tx, namespace, FIND, now) if waiting is None else int(waiting[0])


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
        " WHERE id = :id AND position = :before AND last = :last AND finished_at IS NULL RETURNING id",
        id=run.id,
        last=run.last,
        position=position,
        before=run.position,
        found=len(found),
        finished_at=None if more else now,
    )
    if moved is None:  # another node was quicker with this piece, or somebody asked for more
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
