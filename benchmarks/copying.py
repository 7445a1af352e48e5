"""Programs that bring a folder into step and end: cp, rsync, rclone, unison."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks import needs
from benchmarks.processes import Unable, last_words
from benchmarks.trees import Pair, Tree, compare


@dataclass(frozen=True)
class Spent:
    """On one piece of work: from its begin until it was done, with the CPU of all processes.

    `peak_mb`: the most memory that they took, where they had been there before; `grown_mb`: above what they had then.
    """

    seconds: float
    cpu: float
    peak_mb: float | None = None
    grown_mb: float | None = None


class Syncer(Protocol):
    """Keeps the target of its pair like the source."""

    name: str
    pair: Pair

    def open(self, folder: Path) -> None: ...

    def close(self) -> None: ...

    def bring(self, tree: Tree) -> Spent:
        """What lies beside is moved into the source and carried to the target. Compared afterwards."""

    def rescan(self) -> Spent:
        """Find out that nothing has changed."""


@dataclass
class Program:
    """`command(pair, own folder)`: its words, or Missing."""

    name: str
    command: Callable[[Pair, Path], list[str]]
    environment: Callable[[Path], dict[str, str]] = field(default=lambda _own: {})

    def open(self, folder: Path) -> None:
        self.pair = Pair.within(folder)
        self.own = folder / "own"
        self.own.mkdir()
        self.words = self.command(self.pair, self.own)

    def close(self) -> None:
        pass

    def bring(self, tree: Tree) -> Spent:
        (self.pair.beside / tree.top).rename(self.pair.source / tree.top)
        spent = self.rescan()
        compare(tree, self.pair)
        return spent

    def rescan(self) -> Spent:
        log = self.own / "log"
        with log.open("a") as out:
            began = time.perf_counter()
            process = subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | self.environment(self.own),
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Unable(f"{self.words[0]} ended with {process.returncode}: {last_words(log)}")
        return Spent(seconds, usage.ru_utime + usage.ru_stime)


CP, CP_SYNCED = "cp -a", "cp -a, then sync -f"
RSYNC, RSYNC_SYNCED = "rsync -a", "rsync -a --fsync"


def copiers() -> list[Program]:
    """They copy everything, whatever is there."""
    then_sync = 'cp -a "$1/." "$2" && sync -f "$2"'
    return [
        Program(CP, lambda pair, _own: ["cp", "-a", f"{pair.source}/.", str(pair.target)]),
        Program(CP_SYNCED, lambda pair, _own: ["sh", "-c", then_sync, "sh", str(pair.source), str(pair.target)]),
    ]


def syncers() -> list[Program]:
    """They compare both sides first."""
    return [
        Program(RSYNC, lambda pair, _own: [needs.rsync(), "-a", f"{pair.source}/", f"{pair.target}/"]),
        Program(
            RSYNC_SYNCED, lambda pair, _own: [needs.rsync(), "-a", "--fsync", f"{pair.source}/", f"{pair.target}/"]
        ),
        Program("rclone sync", _rclone),
        Program("unison -batch", _unison, lambda own: {"UNISON": str(own)}),
    ]


def _rclone(pair: Pair, own: Path) -> list[str]:
    return [needs.rclone(), "sync", str(pair.source), str(pair.target), "--config", str(own / "rclone.conf")]


def _unison(pair: Pair, _own: Path) -> list[str]:
    return [needs.unison(), str(pair.source), str(pair.target), "-batch", "-times", "-ui", "text"]
