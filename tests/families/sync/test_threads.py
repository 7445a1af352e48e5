"""Threads that read from storages: bounded, of one entry sooner; who hangs keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.services.waiting import until
from undercroft.families.sync import threads
from undercroft.families.sync.threads import Threads

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def however_slow_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs but where a test says so."""
    monkeypatch.setattr(threads, "HANGING_AFTER", 1_000.0)


class Hanging:
    """Work that hangs until it is let go; which was begun, in that order."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, name: str) -> Callable[[], str]:
        def work() -> str:
            self.begun.append(name)
            assert self.let_go.wait(20)
            return name

        return work


async def test_an_entry_that_hangs_keeps_its_own_waiting_and_no_other() -> None:
    hanging, given = Hanging(), Threads(most=3, most_of_one=2)
    held = [given.ask("r", hanging(f"r{number}")) for number in range(3)]
    await until(lambda: len(hanging.begun) == 2, "two of three")
    assert given.are_taken("r") and not given.are_taken("a")

    assert await asyncio.wait_for(given.ask("a", lambda: "from a"), 20) == "from a"

    hanging.let_go.set()
    assert [await one for one in held] == ["r0", "r1", "r2"]
    assert not given.are_taken("r")


async def test_there_are_so_many_in_all_and_entries_take_turns() -> None:
    hanging, given = Hanging(), Threads(most=1, most_of_one=1)
    first = given.ask("a", hanging("a0"))
    rest = [given.ask(name[0], hanging(name)) for name in ("a1", "a2", "b0", "b1")]
    await until(lambda: hanging.begun, "the first")
    assert given.are_taken("z")
    hanging.let_go.set()
    await asyncio.gather(first, *rest)
    assert hanging.begun == ["a0", "a1", "b0", "a2", "b1"]


async def test_entries_that_hang_all_together_keep_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "HANGING_AFTER", 0.01)
    hanging, given = Hanging(), Threads(most=4, most_of_one=2)
    held = [given.ask(name, hanging(name)) for name in "abcdef" for _ in range(3)]
    assert given.are_taken("z")

    assert await asyncio.wait_for(given.ask("z", lambda: "from z"), 20) == "from z"
    await until(lambda: len(hanging.begun) == 12, "two of each")
    await until(lambda: not given.are_taken("z"), "all of them to hang")
    assert given.are_taken("a"), "each has its own bound still"

    hanging.let_go.set()
    assert sorted([await one for one in held]) == sorted("abcdef" * 3)
    monkeypatch.setattr(threads, "HANGING_AFTER", 1_000.0)
    hanging.let_go.clear()
    held = [given.ask(name, hanging(name)) for name in "abcd"]
    assert given.are_taken("z"), "what hung is counted again"
    hanging.let_go.set()
    await asyncio.gather(*held)


async def test_there_are_so_many_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "HANGING_AFTER", 0.01)
    monkeypatch.setattr(threads, "MOST_WITH_HANGING", 3)
    hanging, given = Hanging(), Threads(most=1)
    held = [given.ask(name, hanging(name)) for name in "abcd"]
    await until(lambda: len(given._hanging) == 3, "as many as may be")
    assert given._busy.total() == 3, "the fourth waits"
    await until(lambda: len(hanging.begun) >= 3, "each to have its thread")
    assert sorted(hanging.begun) == ["a", "b", "c"]
    hanging.let_go.set()
    assert [await one for one in held] == list("abcd")


async def test_what_waits_can_be_taken_back_and_what_is_begun_not() -> None:
    hanging, given = Hanging(), Threads(most=1)
    first, second, third = (given.ask("a", hanging(name)) for name in ("1", "2", "3"))
    assert given.take_back("a", second)
    assert not given.take_back("a", second)
    assert not given.take_back("a", first)
    hanging.let_go.set()
    assert await third == "3"
    assert (hanging.begun, second.done()) == (["1", "3"], False)
    assert not given.take_back("a", third)


async def test_what_is_raised_is_the_outcome_and_the_thread_goes_on() -> None:
    given = Threads(most=1)
    with pytest.raises(OSError, match="broken"):
        await given.ask("a", lambda: (_ for _ in ()).throw(OSError("broken")))
    assert await given.ask("a", lambda: 1) == 1


async def test_threads_without_work_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE", 0.05)
    before, given = set(threading.enumerate()), Threads()
    assert await given.ask("a", lambda: 1) == 1
    await until(lambda: set(threading.enumerate()) <= before, "its end")
    assert await given.ask("a", lambda: 2) == 2, "there is another when it is needed"
