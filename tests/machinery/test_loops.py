"""The three endings of what runs for ever: again, stop, end of the program."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from undercroft.base.refusals import unavailable
from undercroft.machinery import loops
from undercroft.machinery.loops import LONGEST_PAUSE, Fatal, Loop, Loops

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def running() -> AsyncIterator[Loops]:
    started = Loops(lambda: 7)
    yield started
    await asyncio.wait_for(started.stop(), 20)


class Step:
    """Does what a test wants at each call, and tells when it was called so often."""

    def __init__(self, *results: bool | Exception) -> None:
        self.results = list(results)
        self.calls: list[int] = []
        self._called = asyncio.Event()

    async def __call__(self, now: int) -> bool:
        self.calls.append(now)
        self._called.set()
        await asyncio.sleep(0)
        result = self.results.pop(0) if self.results else False
        if isinstance(result, Exception):
            raise result
        return result

    async def called(self, times: int) -> None:
        async with asyncio.timeout(20):
            while len(self.calls) < times:
                self._called.clear()
                await self._called.wait()


async def test_a_step_is_called_with_the_time_and_at_once_again_while_there_is_more(running: Loops) -> None:
    step = Step(True, True, False)

    running.start([Loop("busy", step, 3_600)])
    await step.called(3)
    await asyncio.sleep(0.01)

    assert step.calls == [7, 7, 7]


async def test_a_step_is_called_again_after_its_interval(running: Loops) -> None:
    step = Step()

    running.start([Loop("idle", step, 0.001)])

    await step.called(5)


@pytest.mark.parametrize("failure", [LookupError("of ours"), unavailable("the database is away")])
async def test_one_that_fails_is_called_again_and_troubles_no_other(running: Loops, failure: Exception) -> None:
    failing, other = Step(failure, failure), Step()

    running.start([Loop("failing", failing, 0.001), Loop("other", other, 0.001)])

    await failing.called(4)
    await other.called(4)
    assert not running.ended.done()


async def test_failures_that_never_end_never_end_it(running: Loops, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long each time: a thousand times is more than a float can hold."""
    monkeypatch.setattr(loops, "LONGEST_PAUSE", 0.00001)
    step = Step(*[unavailable("away")] * 1_200)

    running.start([Loop("failing", step, 0.000001)])

    await step.called(1_201)


@pytest.mark.parametrize(
    ("every", "failures", "pause"),
    [(1, 0, 1), (1, 1, 2), (1, 3, 8), (1, 5, LONGEST_PAUSE), (1, 5_000, LONGEST_PAUSE), (60, 0, 60), (60, 9, 60)],
)
def test_pauses_grow_and_are_bounded(every: float, failures: int, pause: float) -> None:
    assert loops._pause(every, failures) == pause


async def test_one_that_asks_for_it_ends_the_program(running: Loops) -> None:
    fatal = Fatal("there is no more to be done here")
    step, other = Step(fatal), Step()

    running.start([Loop("fatal", step, 0.001), Loop("other", other, 0.001)])

    assert await asyncio.wait_for(running.ended, 20) is fatal
    await other.called(len(other.calls) + 2)
    assert len(step.calls) == 1


async def test_a_stop_waits_for_the_step_under_way_and_cuts_short_the_pause() -> None:
    ending = Loops(lambda: 0)
    in_the_middle, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_now: int) -> bool:
        in_the_middle.set()
        await go_on.wait()
        finished.set()
        return True

    resting = Step()
    ending.start([Loop("working", work, 1), Loop("resting", resting, 3_600)])
    await in_the_middle.wait()
    await resting.called(1)
    stopping = asyncio.ensure_future(ending.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()

    go_on.set()
    await asyncio.wait_for(stopping, 20)
    assert finished.is_set()
    assert len(resting.calls) == 1


async def test_failures_are_counted_until_one_goes_well(running: Loops, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def no_pause(_every: float, failures: int) -> float:
        counted.append(failures)
        return 0.0

    monkeypatch.setattr(loops, "_pause", no_pause)
    step = Step(LookupError(), unavailable("away"), LookupError(), False, LookupError())

    running.start([Loop("sometimes", step, 1)])
    await step.called(6)

    assert counted[:5] == [1, 2, 3, 0, 1]


async def test_what_has_a_rhythm_of_its_own_may_end_but_not_break_off(running: Loops) -> None:
    async def stopped() -> None:
        await asyncio.sleep(0)

    async def broken() -> None:
        raise LookupError("a fault of ours")

    await running.keep("courier", stopped())
    assert not running.ended.done()

    running.keep("settling", broken())

    fatal = await asyncio.wait_for(running.ended, 20)
    assert "settling broke off (LookupError: a fault of ours)" in str(fatal)


async def test_a_loop_that_somebody_cancels_ends_the_program_and_is_not_missed_in_silence(running: Loops) -> None:
    async def cancelled(_now: int) -> bool:
        raise asyncio.CancelledError

    running.start([Loop("look ahead", cancelled, 1)])

    assert "look ahead broke off (it was cancelled)" in str(await asyncio.wait_for(running.ended, 20))


async def test_what_is_cut_off_by_the_end_is_no_fault() -> None:
    ending = Loops(lambda: 0)
    task = ending.keep("settling", asyncio.Event().wait())  # type: ignore[arg-type]
    await ending.stop()

    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)

    assert not ending.ended.done()
