"""Processes that don't end, rows that others take, a database that goes away, a machine without room."""

import asyncio
import errno
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.machinery.processes.parts import SLEEPS, another, deaf, house, pid_of
from tests.services.waiting import until
from undercroft.base.clock import wall_clock
from undercroft.base.refusals import Kind, Refusal, unavailable
from undercroft.database import Database
from undercroft.machinery.processes import children, store
from undercroft.machinery.processes.plan import Child, Spec
from undercroft.machinery.processes.supervisor import Supervisor

QUICK = Spec(SLEEPS.argv, graceful=50)


def is_listed(pid: int) -> bool:
    """Also one that is dead and not reaped."""
    return Path(f"/proc/{pid}").exists()


class Refusing:
    """A database that is away for what `refuses` names, by the names of actions. Where a real one goes away can't be
    chosen. `does_first`: it is done all the same, and the answer is lost."""

    def __init__(self, database: Database, *refuses: str, does_first: bool = False) -> None:
        self._database = database
        self._refuses = refuses
        self._does_first = does_first
        self.asked: Counter[str] = Counter()

    async def write(self, action: Any, *args: Any) -> Any:
        return await self._ask(self._database.write, action, *args)

    async def read(self, query: Any, *args: Any) -> Any:
        return await self._ask(self._database.read, query, *args)

    async def _ask(self, ask: Callable[..., Any], action: Any, *args: Any) -> Any:
        self.asked[action.__name__] += 1
        is_refused = action.__name__ in self._refuses
        result = None if is_refused and not self._does_first else await ask(action, *args)
        if is_refused:
            raise unavailable("the database is away")
        return result


def test_one_that_does_not_end_is_known_until_it_has(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", QUICK, up=True)
            assert await supervisor.settled("one")
            pid = pid_of(supervisor)
            with monkeypatch.context() as patch, capture_logs() as told:
                deaf(patch, pid)
                for _ in range(2):
                    with pytest.raises(Refusal, match="has not ended yet") as refused:
                        await supervisor.forget("one", 0.1)
                    assert refused.value.kind is Kind.UNAVAILABLE
                for later in range(10_000, 60_000, 10_000):
                    await supervisor.tend(wall_clock() + later)
                process = await database.read(store.find, "one")
                assert process is not None and process.child is not None
                assert (process.child.pid, process.wanted.up) == (pid, False)
                assert pid_of(supervisor) == pid
            events = Counter(entry["event"] for entry in told)
            assert (events["process_killed"], events["process_does_not_end"]) == (1, 1)
            os.killpg(pid, signal.SIGKILL)
            await supervisor.forget("one")
            assert await database.read(store.find, "one") is None
            assert not is_listed(pid)
            await supervisor.forget("one")

    asyncio.run(story())


def test_what_is_wanted_again_meanwhile_is_not_forgotten(database_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert not await database.write(store.forget, "one"), "it is wanted"
            assert await supervisor.settled("one")
            await database.write(lambda tx: tx.run("UPDATE processes SET up = 0"))
            assert not await database.write(store.forget, "one"), "it runs"

    asyncio.run(story())


def test_what_does_not_end_when_it_is_given_up_holds_nothing_up(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node had it meanwhile, and knows another process of that name."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            first = pid_of(supervisor)
            with monkeypatch.context() as patch:
                deaf(patch, first)
                await database.write(store.note_started, "one", "node", Child(4_000_000, 1, wall_clock()), 1)
                await supervisor.tend(wall_clock())
                await supervisor.tend(wall_clock() + 60_000)
                await another(supervisor, "one", first)
                assert children.created_at(first) is not None
            os.killpg(first, signal.SIGKILL)
            await until(lambda: children.created_at(first) is None, "its end")
            await supervisor.tend(wall_clock())
            assert not is_listed(first)

    asyncio.run(story())


@pytest.mark.parametrize("adopts", [True, False])
def test_of_one_that_another_node_took_over_nothing_is_left(database_url: str, tmp_path: Path, adopts: bool) -> None:
    """`adopts`: on this machine; it is that one's to end then. Else nobody would know of it."""

    async def story() -> None:
        async with house(database_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            pid = pid_of(supervisor)
            await database.write(store.want, "one", "another", SLEEPS, True)
            if not adopts:
                await database.write(store.note_started, "one", "another", Child(4_000_000, 1, 5), 6)
            with capture_logs() as told:
                await supervisor.tend(wall_clock())
                await supervisor.tend(wall_clock())
            assert any(entry["event"] == "process_astray" for entry in told) != adopts
            if adopts:
                os.killpg(pid, signal.SIGKILL)
            await until(lambda: children.created_at(pid) is None, "its end")
            await supervisor.tend(wall_clock())
            assert not is_listed(pid)

    asyncio.run(story())


def test_one_in_whose_row_another_stands_is_ended(sqlite_url: str, tmp_path: Path) -> None:
    """Another node had it, and it came back with what that one has started."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            first = pid_of(supervisor)
            process = subprocess.Popen(SLEEPS.argv, start_new_session=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - at once
            created = children.created_at(process.pid)
            assert created is not None
            await database.write(store.note_started, "one", "node", Child(process.pid, 1, wall_clock()), created)
            await supervisor.tend(wall_clock())
            await until(lambda: children.created_at(first) is None, "its end")
            assert children.is_alive(process.pid, created)
            assert pid_of(supervisor) == process.pid
            await supervisor.forget("one")
            process.wait()

    asyncio.run(story())


def test_a_dead_child_that_this_server_did_not_start_is_reaped_too(sqlite_url: str, tmp_path: Path) -> None:
    """It became another program (exec), and its children are still its own. Here the test has started it."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            process = subprocess.Popen(SLEEPS.argv, start_new_session=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - at once
            created = children.created_at(process.pid)
            assert created is not None
            children.bury(process.pid, created + 1)
            children.bury(process.pid, created)
            assert children.is_alive(process.pid, created), "one that lives is left alone"
            await database.write(store.want, "one", "node", SLEEPS, True)
            await database.write(store.note_started, "one", "node", Child(process.pid, 1, wall_clock()), created)
            await supervisor.tend(wall_clock())
            assert pid_of(supervisor) == process.pid
            process.kill()
            await another(supervisor, "one", process.pid)
            assert not is_listed(process.pid)
            process.wait()

    asyncio.run(story())


def test_that_the_database_is_away_is_told_once_and_that_it_is_back(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            for name in ("one", "two"):
                await supervisor.want(name, SLEEPS, up=True)
                assert await supervisor.settled(name)
            pids = [pid_of(supervisor, name) for name in ("one", "two")]
            away = Refusing(database, "note_ended")
            supervisor._database = away  # type: ignore[assignment]
            with capture_logs() as told:
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                await until(lambda: away.asked["note_ended"] >= 2, "both ends to be noted in vain")
                away._refuses = ("all_of",)
                for _ in range(3):
                    before = away.asked["all_of"]
                    supervisor._wake.set()
                    await until(lambda before=before: away.asked["all_of"] > before, "another round")
                away._refuses = ()
                supervisor._wake.set()
                await another(supervisor, "one", pids[0])
                await another(supervisor, "two", pids[1])
            events = [entry["event"] for entry in told if "supervising" in entry["event"] or "waits" in entry["event"]]
            assert events == ["process_waits", "supervising_goes_on"]

    asyncio.run(story())


def test_one_whose_start_was_noted_though_that_is_not_known_runs_in_the_end(sqlite_url: str, tmp_path: Path) -> None:
    """The answer of the database was lost: what waits to be let go is none that runs."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            losing = Refusing(database, "note_started", does_first=True)
            supervisor._database = losing  # type: ignore[assignment]
            await supervisor.want("one", SLEEPS, up=True)
            await until(lambda: losing.asked["note_started"] == 1, "its start")
            losing._refuses = ()
            log = supervisor.log_of("one")
            supervisor._wake.set()
            await until(lambda: "here" in log.read_text(), "it to run")

    asyncio.run(story())


def test_nobody_is_dead_because_he_cannot_be_seen(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no descriptor is free, for one: a second would be started beside him."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            pid = pid_of(supervisor)

            def none_is_free(path: Path) -> bytes:
                raise OSError(errno.EMFILE, "Too many open files", str(path))

            with monkeypatch.context() as patch, capture_logs() as told:
                patch.setattr(Path, "read_bytes", none_is_free)
                for _ in range(3):
                    await supervisor.tend(wall_clock())
                assert pid_of(supervisor) == pid
            assert Counter(entry["event"] for entry in told)["process_not_tended"] == 1
            await supervisor.tend(wall_clock())
            assert pid_of(supervisor) == pid
            assert children.created_at(pid) is not None

    asyncio.run(story())


def test_where_nobody_can_be_told_from_others_none_is_started(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for dead, and started again and again."""
    made: list[subprocess.Popen[bytes]] = []
    really = subprocess.Popen

    def popen(*args: Any, **kwargs: Any) -> "subprocess.Popen[bytes]":
        made.append(really(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(children, "created_at", lambda _: None)
    with pytest.raises(OSError, match="/proc does not show it"):
        children.start(SLEEPS, tmp_path / "log")
    [process] = made
    assert process.returncode == -signal.SIGKILL


def test_a_machine_that_has_room_for_no_more_is_tried_again(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):

            def full(*_: Any, **__: Any) -> None:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

            with monkeypatch.context() as patch, capture_logs() as told:
                patch.setattr(subprocess, "Popen", full)
                await supervisor.want("one", SLEEPS, up=True)
                await until(lambda: any(entry["event"] == "process_cannot_start" for entry in told), "a start in vain")
            assert await supervisor.settled("one")
            process = await database.read(store.find, "one")
            assert process is not None and process.ended_how is not None
            assert process.ended_how.startswith("can't be started: [Errno 11]")

    asyncio.run(story())


def test_figures_are_of_one_process_whoever_had_its_pid_before(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, _):
            await supervisor.want("one", SLEEPS, up=True)
            assert await supervisor.settled("one")
            supervisor.figures("one")
            first, process = supervisor._measured["one"], supervisor._known["one"]
            supervisor.figures("one")
            assert supervisor._measured["one"] is first
            supervisor._known["one"] = process._replace(created=process.created + 1)
            with pytest.raises(LookupError):
                supervisor.figures("one")
            assert supervisor._measured["one"] is not first, "nothing is compared with what the one before has used"
            await supervisor.tend(wall_clock())
            supervisor.figures("one")
            await supervisor.forget("one")
            await supervisor.tend(wall_clock())
            assert supervisor._measured == {}

    asyncio.run(story())


def test_one_that_does_not_end_with_the_server_is_known_to_the_next(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as (supervisor, database):
            await supervisor.want("one", QUICK, up=True)
            assert await supervisor.settled("one")
            pid = pid_of(supervisor)
            with monkeypatch.context() as patch:
                deaf(patch, pid)
                await supervisor.close()
            process = await database.read(store.find, "one")
            assert process is not None and process.child is not None
            assert process.child.pid == pid and process.child.killed_at is not None
            following = Supervisor(database, "node", tmp_path, wall_clock)
            await following.tend(wall_clock() + 60_000)
            await until(lambda: children.created_at(pid) is None, "its end")
            await following.tend(wall_clock())
            await another(following, "one", pid)

    asyncio.run(story())
