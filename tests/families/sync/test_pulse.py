"""A process that stands still is noticed, told of once, and waited for."""

import asyncio
import itertools
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.families.sync.called import Call, serving
from tests.families.sync.parts import house, until
from tests.services.waiting import wait_until
from undercroft.families.sync import actions, wire
from undercroft.families.sync.looking import standing
from undercroft.families.sync.pulse import BEAT, SILENT, STANDS_STILL, Pulse
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.worker import serving as worker
from undercroft.families.sync.worker.aside import LARGE
from undercroft.families.sync.worker.calls import DISK_ANSWERS, HANGS, SERVERS_ANSWER, Calls, signs_of_life


class Beats:
    """A pulse on a clock of its own."""

    def __init__(self, *, can_be_asked: bool = True) -> None:
        self.asked = 0
        self.now = 1_000.0
        self.can_be_asked = can_be_asked
        self.pulse = Pulse("A", self._ask, lambda: self.can_be_asked)
        self.pulse.expect()

    def _ask(self) -> None:
        self.asked += 1

    def beat(self, times: int = 1, passed: float = BEAT) -> str:
        for _ in range(times):
            self.now += passed
            self.pulse.beat(self.now)
        return self.pulse.reason

    def answer(self, stuck: str = "") -> None:
        self.pulse.heard()
        self.pulse.answered(stuck)
        self.pulse.expect()


def test_who_answers_is_asked_once_a_beat_and_is_well() -> None:
    beats = Beats()
    for number in range(1, 10):
        assert beats.beat() == ""
        assert beats.asked == number
        beats.answer()


def test_who_does_not_answer_is_asked_once_and_told_of_once() -> None:
    beats = Beats()
    with capture_logs() as told:
        assert beats.beat(3) == "", "the first only asks"
        assert beats.beat() == STANDS_STILL
        beats.beat(100)
        assert beats.asked == 1, "what is asked of a process that is stopped piles up nowhere"
        beats.answer()
        assert beats.pulse.reason == "", "at once"
        beats.beat()
        assert beats.asked == 2
    assert [entry["event"] for entry in told] == ["entry_still", "entry_goes_on"]


def test_whoever_says_anything_is_there() -> None:
    beats = Beats()
    beats.beat()
    for _ in range(10):
        assert beats.beat(2) == ""
        beats.pulse.heard()
        beats.pulse.expect()
    assert beats.asked == 1


def test_nobody_is_silent_while_it_is_our_turn() -> None:
    """What it has said is written down, which takes long at this moment: its answer waits behind that."""
    beats = Beats()
    beats.beat()
    beats.pulse.heard()
    assert beats.beat(100) == ""
    beats.pulse.expect()
    assert beats.beat(2) == ""
    assert beats.beat() == STANDS_STILL


@pytest.mark.parametrize("passed", [10 * SILENT, -10 * SILENT])
def test_what_we_slept_ourselves_is_not_its_time(passed: float) -> None:
    beats = Beats()
    beats.beat()
    assert beats.beat(passed=passed) == ""
    assert beats.beat(3) == STANDS_STILL


def test_who_takes_nothing_before_it_is_set_up_stands_still_too() -> None:
    beats = Beats(can_be_asked=False)
    assert beats.beat(3) == ""
    beats.pulse.heard()
    beats.pulse.expect()
    assert beats.beat(2) == ""
    assert beats.beat() == STANDS_STILL
    assert beats.asked == 0


def test_what_a_process_says_of_itself_is_told() -> None:
    beats = Beats()
    with capture_logs() as told:
        beats.beat()
        beats.answer(HANGS)
        assert beats.beat() == HANGS
        beats.answer()
        assert beats.beat() == ""
    assert [entry["event"] for entry in told] == ["entry_still", "entry_goes_on"]


def test_a_stopped_process_is_seen_to_be_and_goes_on(sqlite_url: str, tmp_path: Path) -> None:
    """A real one, by SIGSTOP. On a clock of the test's: nobody waits for a minute."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            entry = await h.database.read(actions.require_entry, "A")
            link = h.engine.link("A")
            assert link is not None
            clock = itertools.count(0, int(BEAT))
            os.kill(h.pid("A"), signal.SIGSTOP)

            def stands_still() -> bool:
                link.pulse.beat(next(clock))
                return h.engine.away(entry) == STANDS_STILL

            await until(stands_still, "it to be told")
            assert await standing(h.engine, entry) == ("active", STANDS_STILL)
            os.kill(h.pid("A"), signal.SIGCONT)
            await until(lambda: h.engine.away(entry) == "", "it to be back")
            assert h.engine.link("A") is link, "it was waited for"
            os.kill(h.pid("A"), signal.SIGSTOP)
            stopped = h.pid("A")
            await h.engine.restart("A")
            assert h.pid("A") != stopped, "and can be started anew all the same"

    asyncio.run(story())


# What the process says of itself


class Thread:
    """A call that ends when the test wants it to."""

    def __init__(self, calls: Calls, patience: float) -> None:
        self._begun, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=calls.made, args=(patience, self._wait))
        self._thread.start()
        assert self._begun.wait(10)
        assert self._thread.native_id is not None
        self.id = self._thread.native_id

    def _wait(self) -> None:
        self._begun.set()
        self._done.wait(20)

    def end(self) -> None:
        self._done.set()
        self._thread.join(10)


def test_a_call_that_does_not_move_for_longer_than_its_patience_hangs() -> None:
    now, moved = 0.0, {}

    def later(seconds: float) -> str:
        nonlocal now
        now += seconds
        return calls.hangs()

    calls = Calls(lambda: now, lambda thread: (moved.get(thread, b""),))
    assert calls.hangs() == ""
    disk, server = Thread(calls, 60), Thread(calls, 600)
    try:
        assert later(0) == "" and later(59) == ""
        moved[disk.id] = b"1"
        assert later(59) == "" and later(59) == "", "it has moved"
        assert later(1) == HANGS
        moved[disk.id] = b"2"
        assert later(0) == ""
        disk.end()
        assert later(300) == "", "it has ended; the other is waited for longer"
        assert later(300) == HANGS
    finally:
        server.end()
        disk.end()
    assert later(1_000) == ""


def test_one_call_after_the_other_is_none_that_hangs() -> None:
    now = 0.0
    calls = Calls(lambda: now, lambda _: (b"the same",))
    waits, goes_on = threading.Semaphore(0), threading.Semaphore(0)

    def call() -> None:
        waits.release()
        assert goes_on.acquire(timeout=20)

    def work() -> None:
        for _ in range(3):
            calls.made(60, call)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        assert waits.acquire(timeout=20)
        assert calls.hangs() == ""
        now += 59
        assert calls.hangs() == ""
        now += 59
        goes_on.release()
    thread.join(20)


def test_a_thread_that_waits_shows_no_sign_of_life_and_one_that_works_does() -> None:
    calls = Calls()
    waiting = Thread(calls, 60)
    try:
        wait_until(lambda: signs_of_life(waiting.id) == signs_of_life(waiting.id) != (), "it to rest")
        mine = threading.get_native_id()
        seen = signs_of_life(mine)
        threading.Event().wait(0.01)  # it is put to sleep, and woken
        assert signs_of_life(mine) != seen
    finally:
        waiting.end()
    # Python has joined it, which the kernel may be about to end.
    wait_until(lambda: signs_of_life(waiting.id) == (), "it to be gone")


async def _answer(call: Call) -> wire.Here:
    call.say(wire.WhoIsThere())
    while not isinstance(message := await call.hear(), wire.Here):
        assert message is not None, "the worker has hung up"
    return message


def test_a_process_whose_disk_hangs_answers_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a disk is played: its folders are listed for as long as the test wants."""
    asked, answers = threading.Event(), threading.Event()

    def walk(*_: Any) -> Any:
        asked.set()
        answers.wait(20)
        return iter(())

    monkeypatch.setattr(LocalStorage, "walk", walk)
    monkeypatch.setattr(worker, "DISK_ANSWERS", 0.0)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            assert await asyncio.to_thread(asked.wait, 10)
            assert (await _answer(call)).stuck == HANGS
            answers.set()
            while not isinstance(await call.hear(), wire.Scanned):
                pass

    asyncio.run(story())


def test_a_process_at_rest_answers_that_nothing_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "DISK_ANSWERS", 0.0)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            while not isinstance(await call.hear(), wire.Scanned):
                pass
            async with asyncio.timeout(10):
                while (await _answer(call)).stuck:  # the look's own thread may have a word to say yet
                    pass

    asyncio.run(story())


def test_all_threads_make_their_calls_where_they_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that looks, the one that reads what is large, those that carry out."""
    made: set[tuple[str, float]] = set()
    really = Calls.made

    def note(calls: Calls, patience: float, call: Any, *arguments: Any) -> Any:
        made.add((getattr(call, "__name__", ""), patience))
        return really(calls, patience, call, *arguments)

    monkeypatch.setattr(Calls, "made", note)
    (tmp_path / "root").mkdir()
    with (tmp_path / "root/large").open("wb") as file:
        file.truncate(LARGE)

    async def story() -> None:
        async with serving(tmp_path) as server:
            call = await server.met()
            call.set_up()
            call.say(wire.InStep())
            while not isinstance(message := await call.hear(), wire.Report):
                assert message is not None, "the worker has hung up"
            assert [seen.path for seen in message.seen] == ["large"]
            wanted = {("_look_and_tell", DISK_ANSWERS), ("_read", DISK_ANSWERS), ("forget_arrivals", SERVERS_ANSWER)}
            await until(lambda: wanted <= made, "all of them")

    asyncio.run(story())
