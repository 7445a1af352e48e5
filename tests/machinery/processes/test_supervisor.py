"""Real processes: started, ended, killed, found again."""

import asyncio
import contextlib
import errno
import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.machinery.processes.parts import SLEEPS, STUBBORN, another, house, pid_of
from tests.services.waiting import until
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.machinery.processes import children, store
from undercroft.machinery.processes.logs import LARGEST_LOG
from undercroft.machinery.processes.plan import Child, Past, Spec
from undercroft.machinery.processes.supervisor import LOOK_AGAIN, Supervisor


def test_started_restarted_and_stopped(database_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            first = pid_of(supervisor)
            assert os.getsid(first) == first, "in a session of its own"
            await until(lambda: "here" in supervisor.log_of("one").read_text(), "its output")
            await supervisor.restart("one")
            assert await supervisor.settled("one")
            second = pid_of(supervisor)
            assert second != first
            assert children.created_at(first) is None
            await supervisor.want("one", SLEEPS, up=False)
            assert await supervisor.settled("one")
            assert children.created_at(second) is None
            await supervisor.forget("one")
            assert await database.read(store.find, "one") is None
            with contextlib.suppress(Refusal):
                assert not await supervisor.settled("one")

    asyncio.run(story())


def test_what_has_settled_is_known_to_run(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment between the note of a start and the next look at it."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            looking = asyncio.Event()

            async def look_later(process: store.Process) -> store.Process:
                await looking.wait()
                return process

            monkeypatch.setattr(supervisor, "_reread", look_later)
            await supervisor.want("one", SLEEPS, up=True)
            log = supervisor.log_of("one")
            await until(lambda: log.exists() and "here" in log.read_text(), "its start to be noted")
            assert await supervisor.settled("one")
            assert pid_of(supervisor)
            looking.set()

    asyncio.run(story())


def test_of_one_that_another_node_had_meanwhile_none_is_left_running(sqlite_url: str, tmp_path: Path) -> None:
    """The table knows the other's, which is nobody here; ours lives on."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            first = pid_of(supervisor)
            elsewhere = Child(4_000_000, 1, wall_clock())
            await database.write(store.note_started, "one", "node", elsewhere, 1)
            for later in (0, 60_000):
                await supervisor.tend(wall_clock() + later)
            assert pid_of(supervisor) not in (first, elsewhere.pid)
            assert children.created_at(first) is None

    asyncio.run(story())


def test_killed_it_is_back_by_itself(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            await supervisor.settled("one")
            first = pid_of(supervisor)
            os.kill(first, signal.SIGKILL)
            await another(supervisor, "one", first)
            process = await database.read(store.find, "one")
            assert process is not None
            assert process.past.failures == 1
            assert process.ended_how == "ended by signal 9"

    asyncio.run(story())


def test_one_that_does_not_listen_is_killed(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            await supervisor.want("one", STUBBORN, up=True)
            await supervisor.settled("one")
            await until(lambda: "deaf" in supervisor.log_of("one").read_text(), "deafness")
            pid = pid_of(supervisor)
            await supervisor.want("one", STUBBORN, up=False)
            assert await supervisor.settled("one")
            assert children.created_at(pid) is None

    asyncio.run(story())


def test_after_the_server_was_killed_its_children_are_found_again(sqlite_url: str, tmp_path: Path) -> None:
    """The second supervisor stands for the next server: it knows nothing but the table."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            await supervisor.settled("one")
            first = pid_of(supervisor)
            following = Supervisor(database, "node", tmp_path, wall_clock)
            await following.tend(wall_clock())
            assert pid_of(following) == first
            # One that ended meanwhile, and whose pid is another's by now, is not mistaken for ours.
            await database.write(
                lambda tx: tx.run("UPDATE processes SET pid = :pid WHERE name = 'one'", pid=os.getpid())
            )
            await following.tend(wall_clock())
            mistaken = following.running("one")
            assert mistaken is None or mistaken.pid not in (os.getpid(), first)
            os.kill(first, signal.SIGKILL)

    asyncio.run(story())


def test_a_program_that_is_not_there_is_tried_again_later_and_later(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", Spec((str(tmp_path / "nothing"),)), up=True)
            async with asyncio.timeout(20):
                while (process := await database.read(store.find, "one")) is None or process.past.failures < 2:  # noqa: ASYNC110 - a child
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_those_that_do_not_outlive_the_server_end_with_it(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            stays = Spec(SLEEPS.argv, outlives=True)
            await supervisor.want("ends", SLEEPS, up=True)
            await supervisor.want("stays", stays, up=True)
            await supervisor.settled("ends")
            await supervisor.settled("stays")
            ends, lives = pid_of(supervisor, "ends"), pid_of(supervisor, "stays")
            await supervisor.close()
            assert children.created_at(ends) is None
            assert children.created_at(lives) is not None

    asyncio.run(story())


def test_a_child_that_was_never_let_go_runs_nothing(tmp_path: Path) -> None:
    """The server died before the pid was written down."""
    proof = tmp_path / "ran"
    started = children.start(Spec(("/bin/sh", "-c", f"touch {proof}")), tmp_path / "log")
    assert started._process.stdin is not None
    started._process.stdin.close()
    started._process.wait(10)
    assert not proof.exists()


def test_a_node_that_lost_a_process_writes_nothing_over_the_new_ones_row(database_url: str, tmp_path: Path) -> None:
    """It is taken over in the moment in which this node starts it."""

    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            really, pids = children.start, []

            def start(spec: Spec, log: Path) -> children.Started:
                started = really(spec, log)
                pids.append(started.pid)
                taking = asyncio.run_coroutine_threadsafe(take_over(), loop)
                taking.result(20)
                return started

            async def take_over() -> None:
                await database.write(store.want, "one", "another", SLEEPS, True)
                await database.write(store.note_started, "one", "another", Child(4_711, 1, 5), 6)

            loop = asyncio.get_running_loop()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(children, "start", start)
                await supervisor.want("one", SLEEPS, up=True)
                async with asyncio.timeout(20):
                    while not pids or children.created_at(pids[0]) is not None:  # noqa: ASYNC110 - it is another process
                        await asyncio.sleep(0.01)
            await supervisor.tend(wall_clock())
            assert len(pids) == 1, "and does not try again"
            past = Past(9, 9)
            await database.write(store.note_asked, "one", "node", 9)
            await database.write(store.note_killed, "one", "node", 9)
            await database.write(store.note_ended, "one", "node", past, "ended")
            await database.write(store.forgive, "one", "node")
            process = await database.read(store.find, "one")
            assert process is not None
            assert (process.child, process.created, process.ended_how) == (Child(4_711, 1, 5), 6, None)
            assert await database.read(store.find, "one", "node") is None
            await database.write(store.note_ended, "one", "another", past, "ended")

    asyncio.run(story())


def test_a_large_log_is_put_away_beside_the_tending(sqlite_url: str, tmp_path: Path) -> None:
    """Also while a disk does not answer: the copy of the first one is a pipe, that nobody reads."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _), asyncio.timeout(20):
            await supervisor.want("one", SLEEPS, up=True)
            await supervisor.settled("one")
            stuck, other = supervisor.log_of("one"), supervisor.log_of("other")
            pipe = stuck.with_name(f"{stuck.name}.part")
            os.mkfifo(pipe)
            held = os.open(pipe, os.O_RDWR)
            try:
                os.truncate(stuck, LARGEST_LOG)
                first = pid_of(supervisor)
                os.kill(first, signal.SIGKILL)
                await another(supervisor, "one", first)
                await supervisor.want("other", SLEEPS, up=True)
                assert await supervisor.settled("other")
                await until(lambda: "here" in other.read_text(), "its output")
                os.truncate(other, LARGEST_LOG)
            finally:
                os.close(held)
            assert supervisor._rotating is not None
            await supervisor._rotating
            await supervisor.tend(wall_clock())
            await supervisor._rotating
            assert other.stat().st_size == 0
            assert other.with_name(f"{other.name}.1").stat().st_size == LARGEST_LOG

    asyncio.run(story())


# One more failure than this is more than either engine can count.
UNCOUNTABLE = 2**63 - 1


async def spoil(database: Database, name: str) -> None:
    """No end of it can be noted."""
    sql = "UPDATE processes SET failures = :failures WHERE name = :name"
    await database.write(lambda tx: tx.run(sql, failures=UNCOUNTABLE, name=name))


def test_what_goes_wrong_with_one_keeps_no_other_from_being_tended(database_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            for name in ("bad", "good"):
                await supervisor.want(name, SLEEPS, up=True)
                assert await supervisor.settled(name)
            bad, good = pid_of(supervisor, "bad"), pid_of(supervisor, "good")
            await spoil(database, "bad")
            with capture_logs() as told:
                os.kill(bad, signal.SIGKILL)
                os.kill(good, signal.SIGKILL)
                await another(supervisor, "good", good)
                assert 0 < await supervisor.tend(wall_clock()) <= LOOK_AGAIN
            faults = {entry["process"] for entry in told if entry["event"] in ("process_not_tended", "process_waits")}
            assert faults == {"bad"}
            await supervisor.want("bad", SLEEPS, up=True)  # which forgives it
            await another(supervisor, "bad", bad)

    asyncio.run(story())


def test_what_goes_wrong_with_one_keeps_no_other_from_being_ended(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            for name in ("bad", "good"):
                await supervisor.want(name, SLEEPS, up=True)
                assert await supervisor.settled(name)
            good, really = pid_of(supervisor, "good"), children.send

            def send(pid: int, created: int, number: signal.Signals) -> None:
                if pid == pid_of(supervisor, "bad"):
                    raise PermissionError("it is another user's by now")
                really(pid, created, number)

            with monkeypatch.context() as patch, capture_logs() as told:
                patch.setattr(children, "send", send)
                await supervisor.close()
            assert children.created_at(good) is None
            assert [(entry["event"], entry["process"]) for entry in told] == [("process_not_tended", "bad")]

    asyncio.run(story())


def test_where_no_descriptor_is_free_they_are_looked_after_nevertheless(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And their ends are waited for as soon as there are some."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            really, watched = os.pidfd_open, set()

            def none_is_free(pid: int) -> int:
                raise OSError(errno.EMFILE, f"no descriptor for {pid}")

            def one_is_free(pid: int) -> int:
                watched.add(pid)
                return really(pid)

            monkeypatch.setattr(os, "pidfd_open", none_is_free)
            for name in ("stops", "stays"):
                await supervisor.want(name, SLEEPS, up=True)
                assert await supervisor.settled(name)
            stops = pid_of(supervisor, "stops")
            await supervisor.want("stops", SLEEPS, up=False)
            await supervisor.tend(wall_clock())
            await until(lambda: children.created_at(stops) is None, "its end")
            assert await supervisor.tend(wall_clock()) > 1, "and it does not spin"
            monkeypatch.setattr(os, "pidfd_open", one_is_free)
            await supervisor.tend(wall_clock())
            assert watched == {pid_of(supervisor, "stays")}

    asyncio.run(story())


def test_arguments_that_no_program_can_have_are_a_start_that_failed(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", Spec(("/bin/true", "\0")), up=True)
            async with asyncio.timeout(20):
                while (process := await database.read(store.find, "one")) is None or process.past.failures < 2:  # noqa: ASYNC110 - a child
                    await asyncio.sleep(0.01)
            assert process.ended_how == "can't be started: embedded null byte"

    asyncio.run(story())


def test_a_row_that_cannot_be_read_is_nobody_elses_trouble(database_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            await supervisor.want("bad", SLEEPS, up=True)
            assert await supervisor.settled("bad")
            bad = pid_of(supervisor, "bad")
            await database.write(lambda tx: tx.run("UPDATE processes SET spec = '{\"argv\": 5}'"))
            await supervisor.want("good", SLEEPS, up=True)
            assert await supervisor.settled("good")
            assert pid_of(supervisor, "bad") == bad, "what runs is left alone"
            os.kill(bad, signal.SIGKILL)
            await until(lambda: supervisor.running("bad") is None, "its end")
            await supervisor.tend(wall_clock())
            await supervisor.want("bad", SLEEPS, up=True)
            await another(supervisor, "bad", bad)

    asyncio.run(story())
