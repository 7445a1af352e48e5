"""One run of the benchmarks: contestants take turns (A B A B …), each on fresh data per work."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.arrivals import Arrivals
from benchmarks.measures import Report
from benchmarks.needs import Missing
from benchmarks.processes import Neighbours, Unable


class Contestant(Protocol):
    """Opened on an empty folder; what else it can do is up to the work that it takes part in."""

    @property
    def name(self) -> str: ...

    def open(self, folder: Path) -> None: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Contestant)
T = TypeVar("T")
# Cores that other programs may keep busy during a turn that counts as quiet.
QUIET = 0.4


@dataclass
class Bench:
    """`arrivals` is the receiver of all; `folder` lies on a real disk, the same for all.

    `patience` is how many seconds may yet be spent on waiting for a quiet machine and on repeating loud turns.
    """

    folder: Path
    arrivals: Arrivals
    quick: bool = False
    patience: float = 0.0
    left_out: set[str] = field(default_factory=set)
    noise: dict[str, list[float]] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 3

    @property
    def seconds(self) -> float:
        """How long a rate is measured."""
        return 2.0 if self.quick else 3.0

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def opened(self, contestant: C, *, keep: bool = False) -> Iterator[C]:
        """`keep`: its folder stays until the end of the run. ext4 takes many times longer to make a file in the minutes
        after many were deleted."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        folder.chmod(0o711)
        try:
            contestant.open(folder)
            try:
                yield contestant
            finally:
                contestant.close()
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def turn(self, who: str, measure: Callable[[C], T], contestant: C) -> T:
        """One contestant measures, again after a loud turn while patience lasts; the noise is kept beside it."""
        while True:
            self._await_quiet()
            self.say(f"  {who}")
            neighbours = Neighbours()
            measured = measure(contestant)
            cores = neighbours.cores()
            if cores < QUIET or self.patience <= 0:
                self.noise.setdefault(who, []).append(cores)
                return measured
            self.patience -= neighbours.seconds()

    def _await_quiet(self) -> None:
        while self.patience > 0:
            neighbours = Neighbours()
            time.sleep(1)
            if neighbours.cores() < QUIET:
                return
            self.patience -= neighbours.seconds()

    def tell_noise(self, report: Report) -> None:
        """Adds to a work's report what other programs used during its turns."""
        for who, cores in self.noise.items():
            report.add(who, "others' CPU", cores, "cores")
        self.noise.clear()

    def alternate(
        self,
        report: Report,
        contestants: Sequence[C],
        measure: Callable[[C], T],
        once: frozenset[str] = frozenset(),
        *,
        keep: bool = False,
    ) -> dict[str, list[T]]:
        """What each contestant measured, a value per round; those in `once` only take part in the first.

        `keep`: as in `opened`.
        One that cannot go on is left out of the work; the report notes its name and reason.
        """
        found: dict[str, list[T]] = {contestant.name: [] for contestant in contestants}
        with ExitStack() as stack:
            standing = [c for c in contestants if self._tried(report, c, lambda c: self._enter(stack, c, keep))]
            for number in range(self.rounds):
                for contestant in [c for c in standing if number == 0 or c.name not in once]:
                    if not self._tried(
                        report, contestant, lambda c: found[c.name].append(self.turn(c.name, measure, c))
                    ):
                        standing.remove(contestant)
        return {name: values for name, values in found.items() if values}

    def anew(
        self,
        report: Report,
        contestants: Sequence[C],
        measure: Callable[[C], T],
        once: frozenset[str] = frozenset(),
        *,
        keep: bool = False,
    ) -> dict[str, list[T]]:
        """As `alternate`, with each contestant opened for its turn only, on an empty folder."""
        found: dict[str, list[T]] = {contestant.name: [] for contestant in contestants}
        standing = list(contestants)

        def take_turn(contestant: C) -> None:
            with self.opened(contestant, keep=keep) as opened:
                found[contestant.name].append(self.turn(contestant.name, measure, opened))

        for number in range(self.rounds):
            turns = [contestant for contestant in standing if number == 0 or contestant.name not in once]
            standing = [contestant for contestant in turns if self._tried(report, contestant, take_turn)]
        return {name: values for name, values in found.items() if values}

    def _enter(self, stack: ExitStack, contestant: C, keep: bool) -> None:
        stack.enter_context(self.opened(contestant, keep=keep))

    def _tried(self, report: Report, contestant: C, step: Callable[[C], object]) -> bool:
        try:
            step(contestant)
        except (Unable, Missing) as reason:
            self.left_out.add(contestant.name)
            report.notes.append(f"{contestant.name} was left out: {reason}")
            self.say(f"  {report.notes[-1]}")
            return False
        return True


@contextmanager
def bench(quick: bool, patience: float) -> Iterator[Bench]:
    """A receiver and a folder, gone afterwards. TMPDIR chooses the disk; memory would flatter."""
    disk = Path(os.environ.get("TMPDIR", "/var/tmp"))
    if _file_system(disk) in ("tmpfs", "ramfs"):
        raise SystemExit(f"{disk} lies in memory: set TMPDIR to a folder on a real disk")
    folder = Path(tempfile.mkdtemp(prefix="undercroft-bench-", dir=disk))
    folder.chmod(0o711)
    arrivals = Arrivals()
    try:
        yield Bench(folder, arrivals, quick, patience)
    finally:
        arrivals.close()
        shutil.rmtree(folder, ignore_errors=True)


def _file_system(path: Path) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(len(m[1]), m[2]) for m in mounts if path.resolve().is_relative_to(m[1])]
    return max(above)[1]
