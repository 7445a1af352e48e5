"""How the databases look for rows: by an index that leads to them, never by walking past all that are stored.

What a planner takes for the best way depends on what it believes to be stored. SQLite believes nothing, because we
keep it from counting; PostgreSQL has counted.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg.sql
import pytest

from tests.database.engines import Engine
from tests.machinery.deliveries.making import NOW, make_queue, make_target
from tests.services.postgres import Postgres
from undercroft.base.clock import DAY, HOUR
from undercroft.families.timers import dead, selecting
from undercroft.machinery.deliveries import claims, listing, store, targets
from undercroft.machinery.deliveries.claims import Share
from undercroft.machinery.deliveries.listing import Selection
from undercroft.machinery.deliveries.model import Delivery, Kind, NewDelivery, Outcome, Result, State, filing
from undercroft.machinery.deliveries.policy import Verdict
from undercroft.machinery.deliveries.store import COLUMNS

ROWS = 100_000
PLACES = 20
COLUMNS_FILLED = "queue, name, target, state, due_at, kind, planned_at, day, created_at, body, claimed_by"


class Stored(NamedTuple):
    """Some of what is stored, by its state."""

    scheduled: list[int]
    sending: list[Delivery]
    dead: list[int]


Work = Callable[[Any, Stored], object]
_DELIVERED = Outcome(1, 1, Result.DONE, 200)
BY_ID = {"INTEGER PRIMARY KEY", "deliveries_pkey"}

# What is done → the indexes of `deliveries` by which it may find its rows.
WORKS: dict[str, tuple[Work, set[str]]] = {
    "falling due": (
        lambda tx, _: claims.falling_due(tx, (NOW - HOUR, 5), NOW + 20 * HOUR, Share(1, 3), 500),
        {"deliveries_by_due"},
    ),
    "overdue": (
        lambda tx, _: claims.overdue(tx, (NOW - HOUR, 5), NOW + 20 * HOUR, NOW, Share(1, 3), 500),
        {"deliveries_by_due"},
    ),
    "claim": (lambda tx, some: claims.claim(tx, some.scheduled, "n", NOW + DAY, NOW + 2 * DAY), BY_ID),
    "settle": (
        lambda tx, some: claims.settle(tx, [(one, Verdict(State.DELIVERED, NOW, None)) for one in some.sending]),
        BY_ID,
    ),
    "log": (lambda tx, some: claims.log_attempts(tx, "n", [(one, _DELIVERED) for one in some.sending]), set()),
    "put back": (lambda tx, some: claims.put_back(tx, some.sending, State.HELD, NOW, "x"), BY_ID),
    "hold": (lambda tx, some: claims.hold(tx, some.scheduled, "x"), BY_ID),
    "held lines": (lambda tx, _: claims.held_lines(tx, (-1, -1), 1_000), {"deliveries_held"}),
    "release": (lambda tx, _: claims.release(tx, 1, 1, 1_000), BY_ID | {"deliveries_held"}),
    "file precisely": (lambda tx, _: claims.file_precisely(tx, NOW + 2 * DAY, 100), BY_ID | {"deliveries_by_due"}),
    "reclaim": (lambda tx, _: claims.reclaim_expired(tx, "n", NOW, 100), BY_ID | {"deliveries_by_due"}),
    "reclaim of one": (lambda tx, _: claims.reclaim_of(tx, "n", NOW, 100), BY_ID | {"deliveries_by_due"}),
    "create": (lambda tx, _: store.insert(tx, [NewDelivery(1, "new", 1, NOW, "{}")], NOW), set()),
    "find": (lambda tx, _: store.find_one(tx, 1, "job5"), {"deliveries_by_name"}),
    "find by key": (lambda tx, _: store.find_by_key(tx, 1, "key"), {"deliveries_by_key"}),
    "delete": (lambda tx, some: store.delete(tx, _seen(some.scheduled)), BY_ID),
    "move": (lambda tx, some: store.move(tx, [(row, NOW) for row in _seen(some.scheduled)], NOW), BY_ID),
    "tick": (lambda tx, some: store.reschedule(tx, [(o.id, o.claims, NOW) for o in some.sending], NOW), BY_ID),
    "replay": (lambda tx, some: store.replay(tx, some.dead, NOW), BY_ID),
    "attempts": (lambda tx, some: store.attempts_of(tx, some.dead[0], (-1, -1), 100), {"deliveries_by_parent"}),
    "purge": (lambda tx, _: store.purge(tx, State.DELIVERED, NOW - DAY, 100), BY_ID | {"deliveries_by_due"}),
    "any pending": (lambda tx, _: targets.has_pending(tx, 3), {"deliveries_waiting_by_target"}),
    "none pending": (lambda tx, _: targets.has_pending(tx, PLACES + 1), {"deliveries_waiting_by_target"}),
    "page": (lambda tx, _: listing.page(tx, Selection(1), 100), BY_ID | {"deliveries_by_day"}),
    "page of a span": (
        lambda tx, _: listing.page(tx, Selection(1, after=NOW + 9 * DAY, before=NOW + 10 * DAY), 100),
        BY_ID | {"deliveries_by_day"},
    ),
    "page of a route": (lambda tx, _: listing.page(tx, Selection(1, target=3), 100), BY_ID | {"deliveries_by_day"}),
    "dead": (lambda tx, _: dead.list_dead(tx, "shop", None, None, (-1, -1, -1), 100), BY_ID | {"deliveries_by_day"}),
    "dead as made": (lambda tx, _: listing.dead(tx, 1, None, 100, ascending=False), {"deliveries_dead"}),
    "dead from one on": (lambda tx, _: listing.dead(tx, 1, 500, 100, ascending=True), {"deliveries_dead"}),
    "one dead": (lambda tx, some: listing.dead_one(tx, 1, some.dead[0]), BY_ID),
    "delete many": (
        lambda tx, some: selecting.delete_selected(tx, [(row, NOW, Kind.OUTWARD) for row in _seen(some.scheduled)]),
        BY_ID | {"deliveries_by_parent"},
    ),
    **{
        f"page of {state.name}": (
            lambda tx, _, state=state: listing.page(tx, Selection(1, (state,), cursor=(NOW // DAY, 7)), 100),
            BY_ID | {"deliveries_by_day"},
        )
        for state in State
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    yield from _filled(f"sqlite:///{tmp_path_factory.mktemp('plans')}/undercroft.db")


@pytest.fixture(scope="module")
def postgres_filled(postgres_cluster: Postgres) -> Iterator[Engine]:
    postgres_cluster.start()
    url = postgres_cluster.create_database()
    yield from _filled(url)
    postgres_cluster.drop_database(url)


@pytest.mark.parametrize("work", WORKS)
def test_sqlite_looks_rows_up(sqlite: Engine, work: str) -> None:
    run, allowed = WORKS[work]
    used: set[str] = set()
    for statement, values in _statements(sqlite, run):
        plan = [line[3] for line in sqlite.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        used |= {_index_of(line) for line in plan if line.startswith(("SCAN deliveries", "SEARCH deliveries"))}
        assert not any(line.startswith("SCAN attempts") for line in plan), plan

    assert used <= allowed


@pytest.mark.parametrize("times", [1, 7])
@pytest.mark.parametrize("work", WORKS)
def test_postgres_looks_rows_up(postgres_filled: Engine, work: str, times: int) -> None:
    """After five times it may settle on one plan for whatever values."""
    run, allowed = WORKS[work]
    used: set[str] = set()
    for statement, values in _statements(postgres_filled, run):
        for step in _steps(_explain(postgres_filled.connection, statement, values, times)):
            if "Index Name" in step or step["Node Type"] == "Seq Scan":
                used.add(step.get("Index Name", f"every row of {step.get('Relation Name')}"))

    small = {"every row of targets", "every row of queues"}
    assert {index for index in used if not index.startswith(("targets_", "queues_"))} - small <= allowed | {
        "attempts_pkey"
    }


def _seen(ids: list[int]) -> list[store.Seen]:
    return [(id, 1, State.SCHEDULED) for id in ids]


def _filled(url: str) -> Iterator[Engine]:
    """A million minutes' worth of jobs: most far ahead, some under way, many delivered, some dead."""
    engine = Engine(url)
    engine.migrate()
    with engine.transaction() as tx:
        for number in range(PLACES):
            make_target(tx, f"hook{number}")
            make_queue(tx, f"orders{number}")
    places = _copy if not engine.is_sqlite else _insert
    places(engine, [_some_row(random.Random(number), number) for number in range(ROWS)])
    engine.connection.execute(
        "INSERT INTO attempts (delivery, number, node, started_at, took_ms, status)"
        " SELECT id, 1, 'n', 1, 1, 200 FROM deliveries"
    )
    if not engine.is_sqlite:
        engine.connection.execute("ANALYZE")
    yield engine
    engine.close()


def _some_row(rng: random.Random, number: int) -> tuple[Any, ...]:
    planned_at = NOW + rng.randrange(-20 * DAY, 30 * DAY)
    state, due_at = filing(planned_at, NOW)
    if planned_at < NOW:
        state, due_at = State(rng.choices([1, 2, 3, 4, 5], [2, 2, 2, 80, 14])[0]), planned_at
    place = rng.randrange(1, PLACES + 1)
    day = planned_at // DAY
    node = "other" if state is State.SENDING else None
    return (place, f"job{number}", place, int(state), due_at, 0, planned_at, day, NOW, "{}", node)


def _insert(engine: Engine, rows: list[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    with engine.transaction():
        engine.connection.executemany(f"INSERT INTO deliveries ({COLUMNS_FILLED}) VALUES ({marks})", rows)


def _copy(engine: Engine, rows: list[tuple[Any, ...]]) -> None:
    with engine.connection.cursor().copy(f"COPY deliveries ({COLUMNS_FILLED}) FROM STDIN") as copy:
        for one in rows:
            copy.write_row(one)


class _Undone(Exception):
    pass


class _Recorder:
    """What a transaction executes, seen where it leaves our code."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.seen: list[tuple[str, Any]] = []

    def execute(self, statement: str, values: Any = None) -> Any:
        if not any(statement == seen for seen, _ in self.seen):
            self.seen.append((statement, values))
        return self._real.execute(statement, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _statements(engine: Engine, run: Work) -> list[tuple[str, Any]]:
    """Every statement of this work with its values; the work is undone."""
    try:
        with engine.transaction() as tx:
            some = _stored(tx)
            part = "_connection" if engine.is_sqlite else "_cursor"
            recorder = _Recorder(getattr(tx, part))
            setattr(tx, part, recorder)
            run(tx, some)
            raise _Undone
    except _Undone:
        pass
    assert recorder.seen
    return recorder.seen


def _stored(tx: Any) -> Stored:
    ids = {
        state: [id for (id,) in tx.all("SELECT id FROM deliveries WHERE state = :state LIMIT 200", state=int(state))]
        for state in (State.SCHEDULED, State.DEAD)
    }
    sending = tx.all(f"SELECT {COLUMNS} FROM deliveries WHERE state = 2 LIMIT 200")
    assert len(sending) == len(ids[State.SCHEDULED]) == len(ids[State.DEAD]) == 200
    return Stored(ids[State.SCHEDULED], [Delivery._make(one) for one in sending], ids[State.DEAD])


def _index_of(line: str) -> str:
    """`SEARCH deliveries USING COVERING INDEX name (…)` → name; the whole line when it uses none."""
    if not line.startswith("SEARCH"):
        return line
    if "INTEGER PRIMARY KEY" in line:
        return "INTEGER PRIMARY KEY"
    return line.partition("INDEX ")[2].partition(" ")[0]


def _explain(connection: Any, statement: str, values: Any, times: int) -> Any:
    """The plan of a prepared statement, as the driver prepares what it sees often, the last of so many times."""
    names = list(dict.fromkeys(values or {}))
    numbered = statement.replace("%%", "%")
    for number, name in enumerate(names, 1):
        numbered = numbered.replace(f"%({name})s", f"${number}")
    arguments = psycopg.sql.SQL(", ").join(psycopg.sql.Literal(values[name]) for name in names)
    call = psycopg.sql.SQL(
        "EXPLAIN (FORMAT JSON) EXECUTE looked_at({})" if names else "EXPLAIN (FORMAT JSON) EXECUTE looked_at"
    )
    connection.execute(f"PREPARE looked_at AS {numbered}")
    try:
        plans = [connection.execute(call.format(arguments)).fetchone()[0][0]["Plan"] for _ in range(times)]
        return plans[-1]
    finally:
        connection.execute("DEALLOCATE looked_at")


def _steps(plan: Any) -> Iterator[Any]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)
