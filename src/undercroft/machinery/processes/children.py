"""Starting, finding and ending operating system processes. Linux: pidfds and /proc."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from undercroft.machinery.processes.plan import Spec

T = TypeVar("T")

# The shell waits for a line before it becomes the program: if the server dies before the pid is written down, the line
# never comes, and nothing runs that nobody knows of.
_GATE = 'read -r go && exec "$@" </dev/null'


class Started:
    """A child of this server. It waits to be let go."""

    def __init__(self, process: "subprocess.Popen[bytes]", created: int) -> None:
        self._process = process
        self.pid = process.pid
        self.created = created

    def let_go(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"go\n")
            self._process.stdin.close()

    def give_up(self) -> None:
        """It is not to run, nor what it has started. Nobody waits for its end: it may hang in a system call."""
        if self.reaped() is None:  # else the number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def reaped(self) -> int | None:
        """Its exit code once it has ended, negative for a signal's number."""
        return self._process.poll()


def start(spec: Spec, log: Path) -> Started:
    """In a session of its own, so that what ends the server does not end it. Raises OSError, ValueError: none runs."""
    if not spec.argv:
        raise ValueError("what it is to run can't be read; it has to be wanted anew")
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *spec.argv],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, **spec.env},
            cwd=spec.folder,
            start_new_session=True,
        )
    try:
        created = created_at(process.pid)
        if created is None:  # who can't be told from others would be taken for dead, and started again and again
            raise OSError(errno.ESRCH, "/proc does not show it", str(process.pid))
        return Started(process, created)
    except OSError:
        process.kill()
        process.communicate()  # it is the shell, and has done nothing yet
        raise


def created_at(pid: int) -> int | None:
    """When the kernel started it, in clock ticks since boot; None where there is no such process, or a dead one.

    Raises OSError where that can't be seen, as where no descriptor is free: nobody is dead for that.
    """
    found = _stat(pid)
    return None if found is None or found.state in (b"Z", b"X") else found.created


def age(created: int) -> float:
    """In seconds, whoever sets a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - created / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int, created: int) -> bool:
    """Raises OSError."""
    return created_at(pid) == created


def bury(pid: int, created: int) -> None:
    """A dead child of ours that this server has not started: it became another program since. Raises OSError."""
    found = _stat(pid)
    if found == _Stat(b"Z", os.getpid(), created):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class _Stat(NamedTuple):
    state: bytes
    parent: int
    created: int


def _stat(pid: int) -> _Stat | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return _Stat(fields[0], int(fields[1]), int(fields[19]))


def send(pid: int, created: int, number: signal.Signals) -> None:
    """To the whole session of the child: what it started ends with it. Nothing where it is another by now.

    Raises OSError.
    """
    if is_alive(pid, created):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)


def watch(pid: int, on_end: Callable[[], None]) -> bool:
    """Call `on_end` in the event loop when the process has ended, ours or adopted; False where it has already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        on_end()

    loop.add_reader(descriptor, ended)
    return True


class Figures(NamedTuple):
    """Of one process. None: this machine does not let us see it."""

    percent: float | None
    """CPU, of one core, since the last look."""
    spent: float | None
    """CPU seconds."""
    memory: float | None
    """Per cent."""
    rss: int | None
    """Bytes, as `vms`."""
    vms: int | None
    created: float | None
    """Seconds since 1970."""


class Measured:
    """One process, looked at again and again. Another that has its pid later is none of it."""

    def __init__(self, pid: int, created: int) -> None:
        """Raises LookupError where it is gone."""
        self.pid = pid
        self.created = created
        try:
            self._process = psutil.Process(pid)
        except psutil.Error as error:
            raise LookupError(str(error)) from None

    def figures(self) -> Figures:
        """Raises LookupError where it is gone."""
        process = self._process
        if not is_alive(self.pid, self.created):
            raise LookupError(f"process {self.pid} has ended")
        try:
            with process.oneshot():
                memory = _seen(process.memory_info)
                return Figures(
                    _seen(process.cpu_percent),
                    _seen(lambda: sum(process.cpu_times()[:2])),
                    _seen(process.memory_percent),
                    memory and memory.rss,
                    memory and memory.vms,
                    _seen(process.create_time),
                )
        except psutil.Error as error:
            raise LookupError(str(error)) from None


def _seen(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except psutil.AccessDenied:
        return None
