"""What a caller may rely on, on either engine: one's own failure is one's own, durable when it returns, told after."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.database.conftest import Open
from undercroft.base.refusals import Kind, Refusal, conflict
from undercroft.database import Database, Transaction

pytestmark = pytest.mark.anyio


def put(tx: Transaction, name: str, size: int | None = None) -> str:
    tx.run("INSERT INTO things (name, size) VALUES (:name, :size)", name=name, size=size)
    tx.tell("things", [name])
    return name.upper()


def names(tx: Transaction) -> list[str]:
    return [name for (name,) in tx.all("SELECT name FROM things ORDER BY name")]


def put_and_refuse(tx: Transaction, name: str) -> None:
    put(tx, name)
    raise conflict("taken", "no")


def put_and_break(tx: Transaction, name: str) -> None:
    put(tx, name)
    raise LookupError(name)


def put_many(tx: Transaction, wanted: list[str]) -> list[str | Refusal]:
    """A batch: refuses names with an `r`, breaks at names with an `x`."""
    answers: list[str | Refusal] = []
    for name in wanted:
        if "x" in name:
            raise LookupError(name)
        answers.append(conflict("taken", name) if "r" in name else put(tx, name))
    return answers


async def all_have_begun() -> None:
    """In one turn of the loop tasks begin, in the next what they gathered is handed over: to the queue, to threads."""
    for _ in range(2):
        await asyncio.sleep(0)


async def together(database: Database, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Start these while the writer is kept busy, so that they wait at the same time; their results or errors."""
    go = threading.Event()
    busy = [asyncio.ensure_future(database.write(lambda _tx: go.wait(20))) for _ in range(2)]
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(call()) for call in calls]
    await all_have_begun()
    go.set()
    await asyncio.gather(*busy)
    return list(await asyncio.gather(*waiting, return_exceptions=True))


async def test_a_failing_action_undoes_itself_and_not_its_neighbours(database: Database) -> None:
    results = await together(
        database,
        lambda: database.write(put, "a"),
        lambda: database.write(put_and_refuse, "b"),
        lambda: database.write(put, name="c", size=3),
        lambda: database.write(put_and_break, "d"),
        lambda: database.write(put, "e"),
    )

    assert [results[0], results[2], results[4]] == ["A", "C", "E"]
    assert isinstance(results[1], Refusal) and results[1].code == "taken"
    assert isinstance(results[3], LookupError)
    assert await database.read(names) == ["a", "c", "e"]


async def test_a_statement_that_fails_undoes_what_its_action_did_before(database: Database) -> None:
    await database.write(put, "a")

    def put_both(tx: Transaction) -> None:
        put(tx, "b")
        put(tx, "a")

    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.write(put_both)

    assert await database.read(names) == ["a"]


@pytest.mark.parametrize("taken", [set(), {"n0"}, {"n7", "n299"}, {f"n{number}" for number in range(300)}])
async def test_rows_are_put_in_but_for_those_that_collide_and_their_ids_are_known(
    database: Database, taken: set[str]
) -> None:
    def put_rows(tx: Transaction, wanted: list[tuple[str, int]]) -> list[Any]:
        return tx.put_in("things", "name TEXT, size BIGINT", wanted, "name, id, size")

    wanted = [(f"n{number}", number) for number in range(300)]
    before = await database.write(put_rows, [row for row in wanted if row[0] in taken])

    put_in = await database.write(put_rows, [(name, size + 1) for name, size in wanted] + [("n5", 9)])

    assert {name for name, _, _ in before} == taken
    assert {name for name, _, _ in put_in} == {name for name, _ in wanted} - taken
    there = await database.read(lambda tx: tx.all("SELECT name, id, size FROM things"))
    assert sorted(there) == sorted(before + put_in)
    assert await database.write(put_rows, []) == []


async def test_callers_of_a_batch_share_calls_and_get_their_own_answers(database: Database) -> None:
    sizes: list[int] = []

    def count_and_put(tx: Transaction, wanted: list[str]) -> list[str | Refusal]:
        sizes.append(len(wanted))
        return put_many(tx, wanted)

    wanted = [f"{letter}{number}" for number in range(20) for letter in "ar"]
    results = await together(
        database,
        *(lambda name=name: database.batch(count_and_put, name) for name in wanted),  # type: ignore[misc]
    )

    assert sum(sizes) == len(wanted) and max(sizes) > 1
    for name, result in zip(wanted, results, strict=True):
        if name.startswith("r"):
            assert isinstance(result, Refusal) and result.message == name
        else:
            assert result == name.upper()
    assert await database.read(names) == sorted(name for name in wanted if name.startswith("a"))


async def test_one_that_breaks_a_batch_breaks_for_itself_alone(database: Database) -> None:
    wanted = ["a", "b", "x", "r", "c"]

    results = await together(
        database,
        *(lambda name=name: database.batch(put_many, name) for name in wanted),  # type: ignore[misc]
    )

    assert [results[0], results[1], results[4]] == ["A", "B", "C"]
    assert isinstance(results[2], LookupError)
    assert isinstance(results[3], Refusal)
    assert await database.read(names) == ["a", "b", "c"]


async def test_a_batch_that_is_refused_as_a_whole_is_refused_to_each(database: Database) -> None:
    def refuse(_tx: Transaction, _wanted: list[str]) -> list[str | Refusal]:
        raise conflict("full", "no")

    results = await together(database, lambda: database.batch(refuse, "a"), lambda: database.batch(refuse, "b"))

    assert [result.code for result in results] == ["full", "full"]


async def test_listeners_hear_what_is_durable_and_nothing_of_what_was_undone(database: Database) -> None:
    heard: list[str] = []
    seen: list[asyncio.Future[list[str]]] = []

    def listen(items: list[str]) -> None:
        heard.extend(items)
        seen.append(asyncio.ensure_future(database.read(names)))

    database.listen("things", listen)
    database.listen("others", heard.extend)

    await together(
        database,
        lambda: database.write(put, "a"),
        lambda: database.write(put_and_refuse, "b"),
        lambda: database.write(put_and_break, "c"),
        lambda: database.batch(put_many, "d"),
        lambda: database.batch(put_many, "x"),
        lambda: database.write(lambda tx: tx.tell("things", [])),
    )

    assert sorted(heard) == ["a", "d"]
    for index, (name, found) in enumerate(zip(heard, await asyncio.gather(*seen), strict=False)):
        assert name in found, index


async def test_a_listener_hears_before_the_caller_goes_on(database: Database) -> None:
    heard: list[str] = []
    database.listen("things", heard.extend)

    await database.write(put, "a")

    assert heard == ["a"]


async def test_a_listener_that_fails_keeps_nobody_else_from_hearing(database: Database) -> None:
    heard: list[str] = []

    def fail(_items: list[str]) -> None:
        raise LookupError("listener")

    database.listen("things", fail)
    database.listen("things", heard.extend)

    assert await database.write(put, "a") == "A"
    assert heard == ["a"]


async def test_what_waits_is_finished_when_the_database_closes_and_nothing_begins_after(open_again: Open) -> None:
    database = await open_again()
    go = threading.Event()
    writing = [asyncio.ensure_future(database.write(lambda _tx: go.wait(20)))]
    writing += [asyncio.ensure_future(database.write(put, f"w{number}")) for number in range(5)]
    writing += [asyncio.ensure_future(database.batch(put_many, f"b{number}")) for number in range(1_100)]
    await all_have_begun()

    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    go.set()
    await closing
    await asyncio.gather(*writing)

    for call in (
        database.write(put, "late"),
        database.batch(put_many, "late"),
        database.read(names),
    ):
        with pytest.raises(Refusal) as refused:
            await call
        assert refused.value.kind is Kind.UNAVAILABLE
    await database.close()

    again = await open_again()
    assert await again.read(names) == sorted([f"w{n}" for n in range(5)] + [f"b{n}" for n in range(1_100)])


async def test_an_id_is_never_handed_out_twice(open_again: Open) -> None:
    database = await open_again()

    def put_one(tx: Transaction, name: str) -> int:
        row = tx.one("INSERT INTO things (name) VALUES (:name) RETURNING id", name=name)
        assert row is not None
        return int(row[0])

    ids = [await database.write(put_one, name) for name in ("a", "b")]
    await database.write(lambda tx: tx.run("DELETE FROM things"))
    await database.close()

    assert await (await open_again()).write(put_one, "c") > max(ids)
