"""Programs that a benchmark starts: what they cost (CPU, memory) and how they end. Linux only, from /proc."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


class Unable(Exception):
    """A contestant could not do its work; the message says why, the others go on."""


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and all that they started, those that ended included."""
    table = _processes()
    return sum(table[pid][1] for pid in _family(roots, table)) / TICKS


class Neighbours:
    """What programs that are not ours use from now on; their noise is in every absolute number."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.busy, self.own = _busy_seconds(), cpu_seconds([os.getpid()])

    def cores(self) -> float:
        """How many cores they kept busy, time that the hypervisor took included."""
        theirs = _busy_seconds() - self.busy - (cpu_seconds([os.getpid()]) - self.own)
        return max(0.0, theirs / self.seconds())

    def seconds(self) -> float:
        return time.perf_counter() - self.began


def resident_mb(roots: Iterable[int], *, alone: bool = False) -> float:
    """Memory in RAM of these processes and, unless `alone`, all that they started, in MB."""
    return sum(_memory_kb(pid, "VmRSS:") for pid in (roots if alone else _family(roots, _processes()))) / 1024


def forget_peaks(roots: Iterable[int]) -> None:
    """`peak_mb` counts from here on."""
    for pid in _family(roots, _processes()):
        with contextlib.suppress(OSError):
            (PROC / str(pid) / "clear_refs").write_text("5")


def peak_mb(roots: Iterable[int]) -> float:
    """The most memory that each of these processes and all that they started ever had in RAM, summed, in MB."""
    return sum(_memory_kb(pid, "VmHWM:") for pid in _family(roots, _processes())) / 1024


def children_with(root: int, word: str) -> list[int]:
    """The living processes that this one started and whose command line ends with the word."""
    found = []
    for pid in _family([root], _processes()) - {root}:
        with contextlib.suppress(OSError):
            words = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            found += [pid] if words[-1] == word.encode() else []
    return found


def stop(process: subprocess.Popen[str], asked: signal.Signals = signal.SIGTERM) -> None:
    """Ask it to end and wait up to 15 s; then kill it and what is left of its session."""
    if process.poll() is None:
        process.send_signal(asked)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def last_words(log: Path) -> str:
    """The end of a log, for the message of a failure."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return "\n".join(lines[-4:]) or "(no output)"


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, (PROC / "stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def _processes() -> dict[int, tuple[int, int]]:
    """Each living process: (parent, CPU ticks of itself and its ended children)."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in brackets may hold spaces, so count the fields from behind it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    return found


def _family(roots: Iterable[int], table: dict[int, tuple[int, int]]) -> set[int]:
    members = {pid for pid in roots if pid in table}
    while grown := {pid for pid, (parent, _) in table.items() if parent in members} - members:
        members |= grown
    return members


def _memory_kb(pid: int, what: str) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1])
    return 0
