"""Starting, finding and ending operating system processes. Linux: pidfds and /proc."""

import asyncio
import contextlib
import os
import signal
import subprocess
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
    """A child that waits to be let go."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid
        self.created = created_at(process.pid) or 0

    def let_go(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"go\n")
            self._process.stdin.close()

    def give_up(self) -> None:
        """It is not to run. Waits for its end."""
        self._process.kill()
        self._process.communicate()

    def reaped(self) -> int | None:
        """Its exit code once it has ended, negative for a signal's number."""
        return self._process.poll()


def start(spec: Spec, log: Path) -> Started:
    """In a session of its own, so that what ends the server does not end it. Raises OSError, ValueError."""
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
    return Started(process)


def created_at(pid: int) -> int | None:
    """When the kernel started it, in clock ticks since boot; None where there is no such process, or a dead one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, created: int) -> bool:
    return created_at(pid) == created


def send(pid: int, created: int, number: signal.Signals) -> None:
    """To the whole session of the child: what it started ends with it. Nothing where it is another by now."""
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


def figures(pid: int, measured: "dict[int, psutil.Process]") -> Figures:
    """`measured` keeps what the next call compares with. Raises LookupError where the process is gone."""
    try:
        process = measured.setdefault(pid, psutil.Process(pid))
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
        measured.pop(pid, None)
        raise LookupError(str(error)) from None


def _seen(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except psutil.AccessDenied:
        return None
