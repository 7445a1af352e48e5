"""What a worker is given first, and what that costs. The index and the worker are played here: any file is new."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tests.services.waiting import until
from undercroft.database import Database
from undercroft.families.sync import actions, giving, store, wire
from undercroft.families.sync.giving import Giving, HungUp
from undercroft.families.sync.operations import Put
from undercroft.families.sync.reconcile import Content

MANY = 100_000


class Index:
    """`behind`: paths that are, sorted; `reads`: how often it was asked."""

    def __init__(self) -> None:
        self.behind: list[str] = []
        self.reads = 0

    async def read(self, function: Any, *args: Any) -> Any:
        self.reads += 1
        await asyncio.sleep(0)
        if function is store.behind_of:
            _, after, most = args
            return [path for path in self.behind if path > after][:most]
        assert function is actions.to_do
        return [Put(path, 1, Content("x", 1, 0, 0), "", "", (("A", path),)) for path in args[1]]


class Hand:
    """A worker's: what it is given, and what it says of that."""

    def __init__(self) -> None:
        self.index = Index()
        self.given: asyncio.Queue[list[str]] = asyncio.Queue()
        self.giving = Giving("B", cast("Database", self.index), self._take)

    async def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Do):
            self.given.put_nowait([put.path for put in message.puts])

    async def next(self) -> list[str]:
        return await asyncio.wait_for(self.given.get(), 20)

    def fail(self, *paths: str) -> None:
        self.giving.note_failed([wire.Failed(path, 1, "no room", False) for path in paths])


@pytest.fixture
def tell() -> Callable[[Callable[[Hand], Awaitable[None]]], None]:
    def run(story: Callable[[Hand], Awaitable[None]]) -> None:
        async def whole() -> None:
            hand = Hand()
            running = asyncio.create_task(hand.giving.run())
            try:
                await until(lambda: hand.giving._after is None, "it to find that nothing is behind")
                await story(hand)
            finally:
                running.cancel()

        asyncio.run(whole())

    return run


Tell = Callable[[Callable[[Hand], Awaitable[None]]], None]


def test_what_has_changed_is_given_before_all_that_fails(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        hand.index.behind = sorted(f"bad {n}" for n in range(3_000))
        hand.fail(*hand.index.behind)
        hand.giving.try_again()
        tried: list[str] = []
        while len(tried) < giving.MOST_TRIED:
            tried += await hand.next()
        assert len(tried) == giving.MOST_TRIED, "and no more of them before these are done"
        hand.giving.wake(["good"])
        assert await hand.next() == ["good"]
        hand.fail(tried[0])
        assert len(await hand.next()) == 1, "each that is done makes room for one"
        hand.giving.wake(["another"])
        hand.fail(tried[1])
        assert (await hand.next())[0] == "another"

    tell(story)


def test_what_fails_and_what_is_behind_do_not_wait_for_the_end_of_what_changes(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        hand.index.behind = ["behind"]
        hand.fail("bad")
        assert await hand.next() == ["bad"]
        hand.fail("bad")
        hand.giving.try_again()
        hand.giving.wake(f"new {n:03}" for n in range(giving.PAGE))
        first = await hand.next()
        assert first[0] == "new 000"
        assert {"bad", "behind"} < set(first)

    tell(story)


def test_what_was_written_while_it_was_copied_does_not_wait_when_it_is_done(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        for _ in range(12):  # the next pause is a minute
            hand.giving.note_failed([wire.Failed("log", 1, "the source has changed meanwhile", True)])
        hand.giving.wake(["log"])
        assert await hand.next() == ["log"]

    tell(story)


def test_all_that_fails_comes_in_turn(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        paths = {f"bad {n}" for n in range(2 * giving.MOST_TRIED)}
        hand.fail(*paths)
        tried: set[str] = set()
        while tried != paths:
            some = await hand.next()
            assert not tried.intersection(some), "the others first"
            tried.update(some)
            hand.fail(*some)

    tell(story)


def test_a_walk_through_what_is_behind_begins_anew_when_it_is_said_to(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        hand.index.behind = [f"{n:04}" for n in range(2 * giving.PAGE)]
        really = hand.index.read

        async def read(function: Any, *args: Any) -> Any:
            rows = await really(function, *args)
            if function is store.behind_of and args[1]:
                hand.index.read = really  # type: ignore[method-assign]
                hand.index.behind.insert(0, "!")
                hand.giving.try_again()
            return rows

        hand.index.read = read  # type: ignore[method-assign]
        hand.giving.try_again()
        given: list[str] = []
        while "!" not in given:
            given += await hand.next()
        assert len(given) == len(set(given))

    tell(story)


def test_more_than_can_be_named_while_a_walk_begins_are_given(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that it reads at that moment is of before."""
    monkeypatch.setattr(giving, "MOST_NAMED", 3)

    async def story(hand: Hand) -> None:
        really = hand.index.read

        async def read(function: Any, *args: Any) -> Any:
            rows = await really(function, *args)
            if function is store.behind_of:
                hand.index.read = really  # type: ignore[method-assign]
                hand.index.behind = ["a", "b", "c", "d"]
                hand.giving.wake(hand.index.behind)
            return rows

        hand.index.read = read  # type: ignore[method-assign]
        hand.giving.try_again()
        assert await hand.next() == ["a", "b", "c", "d"]

    tell(story)


def test_many_that_fail_cost_a_change_nothing(tell: Tell) -> None:
    async def story(hand: Hand) -> None:
        hand.giving.note_failed([wire.Failed(f"bad {n}", 1, "no room", False) for n in range(MANY)])
        hand.giving._failing.try_all(0.0)
        assert len(await hand.next()) == giving.MOST_TRIED
        began = time.process_time()
        for n in range(10):
            hand.giving.wake([f"good {n}"])
            assert await hand.next() == [f"good {n}"]
        assert time.process_time() - began < 10 * 0.005

    tell(story)


def test_a_worker_that_has_gone_is_no_fault(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(hand: Hand) -> None:
        async def hang_up(_: wire.Message) -> None:
            raise HungUp

        monkeypatch.setattr(hand.giving, "_send", hang_up)
        faults: list[str] = []
        monkeypatch.setattr(giving.log, "exception", lambda *_, **__: faults.append("told"))
        reads = hand.index.reads
        hand.giving.wake(["f"])
        await until(lambda: hand.index.reads > reads, "it to be asked what is to do")
        for _ in range(20):  # rounds of the loop, in which it would ask again
            await asyncio.sleep(0)
        assert hand.index.reads == reads + 1
        assert faults == []

    tell(story)
