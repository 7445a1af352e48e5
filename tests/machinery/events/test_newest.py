"""What admins read of what was done: the last first, of all families or of one."""

from collections.abc import Iterator

import pytest

from tests.database.engines import Engine
from tests.database.plans import plan_of
from undercroft.machinery import events


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = Engine(database_url)
    opened.migrate()
    with opened.transaction() as tx:
        for n in range(2_000):
            family = "mail" if n % 500 == 0 else "locks"
            events.record(tx, n, "ann@example.com", family, "shop", "release", f"{n}")
    opened.connection.execute("ANALYZE")
    yield opened
    opened.close()


def subjects(engine: Engine, before: int | None, family: str | None, limit: int) -> list[str]:
    with engine.transaction() as tx:
        return [event.subject for event in events.newest(tx, before, family, limit)]


def test_those_of_one_family_are_found_without_looking_at_others(engine: Engine) -> None:
    assert "events_by_family" in plan_of(engine, events.newest, None, "mail", 5)
    assert subjects(engine, None, "mail", 2) == ["1500", "1000"]
    assert subjects(engine, 1_001, "mail", 5) == ["500", "0"]


def test_those_of_all_families_come_last_first(engine: Engine) -> None:
    assert subjects(engine, None, None, 2) == ["1999", "1998"]
    assert subjects(engine, 3, None, 5) == ["1", "0"]
