"""Large logs are put away, and what goes wrong in that costs no line."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from undercroft.machinery.processes import logs
from undercroft.machinery.processes.logs import TRIED_AGAIN, Logs, put_away

LARGEST = 64 * 1_024
ALL = b"all that was written\n" * (LARGEST // 16)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest log is a small one."""
    monkeypatch.setattr(logs, "LARGEST_LOG", LARGEST)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A large one, and as many older ones as are kept."""
    path = tmp_path / "x.log"
    path.write_bytes(ALL)
    for number in (1, 2, 3):
        path.with_name(f"x.log.{number}").write_bytes(b"older by %d\n" % number)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rotated(log: Path) -> bool:
    """And nothing else is there."""
    older = {f"x.log.{number}": b"older by %d\n" % (number - 1) for number in (2, 3)}
    return contents(log.parent) == {"x.log": b"", "x.log.1": ALL, **older}


def test_a_large_log_is_rotated_and_the_oldest_goes(log: Path) -> None:
    put_away(log)
    assert rotated(log)
    put_away(log)
    assert rotated(log), "it is not large any more"


def test_the_child_goes_on_writing_and_no_line_is_lost(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes while its log is copied belongs to the copy, what it writes after that begins the log."""
    echo = (
        "import sys\nfor line in sys.stdin: print(line, end='', flush=True); sys.stderr.write('.'); sys.stderr.flush()"
    )
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", echo], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE
        )

    def write(line: bytes) -> None:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(line)
        child.stdin.flush()
        assert child.stderr.read(1) == b".", "it has written"

    really = os.fsync

    def meanwhile(descriptor: int) -> None:
        write(b"meanwhile\n")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    put_away(log)
    write(b"after\n")
    child.communicate(timeout=20)
    assert log.with_name("x.log.1").read_bytes() == ALL + b"meanwhile\n"
    assert log.read_bytes() == b"after\n"


def _breaks_off_in_the_middle(path: Path) -> Callable[[], None]:
    """A disk that takes half of it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST // 2, limits[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _cannot_be_made(path: Path) -> Callable[[], None]:
    there = path.with_name("x.log.part")
    there.mkdir()
    return there.rmdir


def _cannot_be_truncated(path: Path) -> Callable[[], None]:
    """As on a file system that wants room for that too."""
    patch = pytest.MonkeyPatch()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    patch.setattr(os, "ftruncate", full)
    return patch.undo


def _has_no_room(path: Path) -> Callable[[], None]:
    patch = pytest.MonkeyPatch()
    usage = shutil.disk_usage(path.parent)._replace(free=len(ALL) - 1)
    patch.setattr(shutil, "disk_usage", lambda _: usage)
    patch.setattr(logs, "_copy", lambda *_: pytest.fail("it takes what is left"))
    return patch.undo


TROUBLES = [_breaks_off_in_the_middle, _cannot_be_made, _cannot_be_truncated, _has_no_room]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_fails_changes_nothing_however_often(log: Path, trouble: Callable[[Path], Callable[[], None]]) -> None:
    before = contents(log.parent)
    end = trouble(log)
    try:
        for _ in range(logs.LOGS_KEPT + 1):
            with pytest.raises(OSError):
                put_away(log)
    finally:
        end()
    assert contents(log.parent) == before
    put_away(log)
    assert rotated(log)


class Step(NamedTuple):
    name: str
    nth: int
    twice: bool = False
    """Whether the log was not truncated yet, while its copy was whole: its lines are then kept twice."""


STEPS = [
    Step("fsync", 1),
    Step("rename", 1),
    Step("ftruncate", 1, twice=True),
    Step("rename", 2),
    Step("rename", 3),
    Step("rename", 4),
]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_before_any_step_the_next_one_goes_on_from_there(log: Path, step: Step) -> None:
    really, calls = getattr(os, step.name), []

    def killed(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == step.nth:
            raise Killed
        really(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, step.name, killed)
        put_away(log)
    put_away(log)
    if step.twice:
        assert contents(log.parent) == {"x.log": b"", "x.log.1": ALL, "x.log.2": ALL, "x.log.3": b"older by 1\n"}
    else:
        assert rotated(log)


def test_a_trouble_is_told_once_and_tried_again_after_a_while(tmp_path: Path) -> None:
    house = Logs(tmp_path)
    for name in ("bad", "good"):
        house.of(name).write_bytes(ALL)
    stone = tmp_path / "bad.log.part"
    stone.mkdir()
    with capture_logs() as told:
        for now in (0, TRIED_AGAIN, 2 * TRIED_AGAIN):
            house.rotate(["bad", "good"], now)
    assert [(entry["event"], entry["process"], entry["log_level"]) for entry in told] == [
        ("log_not_rotated", "bad", "warning")
    ]
    assert house.of("good").read_bytes() == b"", "the others are"
    stone.rmdir()
    house.rotate(["bad"], 3 * TRIED_AGAIN - 1)
    assert house.of("bad").read_bytes() == ALL, "not before its time"
    house.rotate(["bad"], 1)
    assert house.of("bad").read_bytes() == b"", "a clock that was set back puts nothing off"
    house.of("bad").write_bytes(ALL)
    stone.mkdir()
    with capture_logs() as told:
        house.rotate(["bad"], 2)
    assert len(told) == 1, "it is another trouble"
