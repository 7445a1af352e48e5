"""Whether the database can be written is known where nobody writes, and found out at little cost."""

from typing import Any

import apsw
import pytest

from tests.database.test_sqlite import put
from undercroft.base.refusals import Refusal
from undercroft.database import Database, calls, open_database
from undercroft.database.sqlite import engine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqlite(sqlite_url: str) -> Any:
    from tests.database.conftest import THINGS

    opened = await open_database(sqlite_url, [THINGS], lambda: 0)
    yield opened
    await opened.close()


async def test_one_that_works_can_be_written(database: Database) -> None:
    assert await database.can_be_written()
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        await database.write(lambda tx: [put(tx, "a"), put(tx, "a")])
    assert await database.can_be_written(), "a fault of ours says nothing about the disk"


async def test_a_full_one_is_noticed_though_nobody_writes(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_tx: object) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(engine, "_write_a_little", full)

    assert not await sqlite.can_be_written()

    monkeypatch.undo()
    assert not await sqlite.can_be_written(), "a failure is remembered for a while: little may fit where much does not"
    monkeypatch.setattr(calls, "TROUBLE_LASTS", 0.0)
    assert await sqlite.can_be_written()


async def test_a_write_that_failed_for_want_of_room_is_remembered(sqlite: Database) -> None:
    assert await sqlite.can_be_written()
    (pages,) = await sqlite.write(lambda tx: tx.one("PRAGMA page_count") or ())
    await sqlite.write(lambda tx: tx.all(f"PRAGMA max_page_count = {pages + 1}"))

    with pytest.raises(Refusal, match="no space is left"):
        await sqlite.write(put, "c", 1_000_000)

    assert not await sqlite.can_be_written()


async def test_who_asks_all_the_time_makes_it_write_seldom(sqlite: Database) -> None:
    for _ in range(50):
        assert await sqlite.can_be_written()

    [(version,)] = await sqlite.read(lambda tx: tx.all("PRAGMA user_version"))
    assert version == 1
