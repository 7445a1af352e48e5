"""Who is let to the relay: nobody gets all of its connections, who waits goes in turn, the house finds one always."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercroft.machinery.deliveries.model import NoTurn
from undercroft.machinery.deliveries.smtp.room import Room, share_of_one

pytestmark = pytest.mark.anyio

HOUSE = ""


class Crowd:
    """Those who were let in, and may be let out again."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.within: list[tuple[str, asyncio.Event, asyncio.Task[None]]] = []
        self.outside: list[asyncio.Task[None]] = []
        self.order: list[str] = []

    async def come(self, whose: str, times: int = 1, patience: float = 60.0) -> int:
        """How many of these are let in at once."""
        before = len(self.order)
        for _ in range(times):
            self.outside.append(asyncio.ensure_future(self._stay(whose, patience)))
        await _settle()
        return len(self.order) - before

    async def go(self, whose: str) -> None:
        """One of them has ended."""
        one = next(one for one in self.within if one[0] == whose)
        self.within.remove(one)
        one[1].set()
        await _settle()

    def count(self) -> Counter[str]:
        return Counter(whose for whose, _, _ in self.within)

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.outside:
            task.cancel()
        await asyncio.gather(*self.outside, return_exceptions=True)

    async def _stay(self, whose: str, patience: float) -> None:
        async with self.room.turn(whose, patience):
            leave, task = asyncio.Event(), asyncio.current_task()
            assert task is not None
            self.within.append((whose, leave, task))
            self.order.append(whose)
            await leave.wait()


async def _settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_each_takes_half_of_what_is_free_and_the_house_its_own() -> None:
    async with Crowd(Room(16, HOUSE)) as crowd:
        assert await crowd.come("a", 20) == 8 == share_of_one(16)
        assert await crowd.come("b", 20) == 4
        assert await crowd.come("c", 20) == 2
        assert await crowd.come("d", 20) == 1
        assert await crowd.come("e") == 0
        assert await crowd.come(HOUSE, 2) == 1
        assert sum(crowd.count().values()) == 16


async def test_who_waits_goes_in_turn_however_many_another_has_waiting() -> None:
    async with Crowd(Room(3)) as crowd:
        await crowd.come("a", 50)
        for whose in ("b", "c"):
            await crowd.come(whose, 2)
        for _ in range(40):
            await crowd.go(crowd.within[0][0])
        order = "".join(crowd.order)
        assert order.count("b") == order.count("c") == 2
        assert max(order.rindex("b"), order.rindex("c")) < 12
        assert order.count("a") >= 30, "and then it has its share again"


async def test_the_house_goes_before_who_waits_longer() -> None:
    async with Crowd(Room(4, HOUSE)) as crowd:
        for whose in "abc":
            await crowd.come(whose, 3)
        assert await crowd.come(HOUSE, 2) == 1
        await crowd.go(HOUSE)
        assert crowd.order[-1] == HOUSE


@pytest.mark.parametrize(("connections", "alone"), [(1, 1), (2, 1), (3, 1), (4, 2), (50, 25)])
async def test_one_alone_has_its_share_of_few_as_well(connections: int, alone: int) -> None:
    async with Crowd(Room(connections, HOUSE)) as crowd:
        assert await crowd.come("a", 60) == alone == share_of_one(connections)
        assert await crowd.come(HOUSE) == (connections > 1)


async def test_who_loses_patience_or_is_called_off_takes_nothing() -> None:
    room = Room(1)
    async with AsyncExitStack() as first:
        await first.enter_async_context(room.turn("a", 0))
        with pytest.raises(NoTurn):
            async with room.turn("b", 0):
                raise AssertionError("there is no room")
        waiting = asyncio.ensure_future(_enter(room, "b"))
        await _settle()
        waiting.cancel()
        with pytest.raises(NoTurn):
            await waiting
    async with Crowd(room) as crowd:
        assert await crowd.come("c") == 1, "and leaves nothing behind"


async def test_who_is_called_off_at_the_moment_of_its_turn_passes_it_on() -> None:
    room = Room(1)
    async with room.turn("a", 0):
        called_off, next_one = (asyncio.ensure_future(_enter(room, whose)) for whose in "bc")
        await _settle()
    called_off.cancel()  # its turn has come, and it has not heard of it yet
    with pytest.raises(NoTurn):
        await called_off
    await asyncio.wait_for(next_one, 20)


async def _enter(room: Room, whose: str) -> None:
    async with room.turn(whose, 60):
        pass


@given(
    connections=st.integers(1, 9),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from(["", "a", "b", "c"])), max_size=60),
)
@settings(max_examples=50, deadline=None)
def test_never_more_than_there_are_and_in_the_end_everybody_had_a_turn(
    connections: int, steps: list[tuple[bool, str]]
) -> None:
    async def play() -> None:
        async with Crowd(Room(connections, HOUSE)) as crowd:
            for comes, whose in steps:
                if comes:
                    await crowd.come(whose)
                elif crowd.count()[whose]:
                    await crowd.go(whose)
                assert sum(crowd.count().values()) <= connections
            while crowd.within:
                await crowd.go(crowd.within[0][0])
            assert len(crowd.order) == sum(comes for comes, _ in steps)
            assert crowd.room._taken == {} and crowd.room._waiting == {}

    asyncio.run(play())
