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

    assert await asyncio.wait_for(given.ask("a", lambda: "from a"), 5) == "from a"

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
