"""One large file, and the memory that it takes."""

from benchmarks.bench import Bench
from benchmarks.copying import CP, CP_SYNCED, Spent, Syncer, copiers, syncers
from benchmarks.entries import Entries
from benchmarks.measures import Bound, Report, at_most
from benchmarks.trees import Tree, fill
from benchmarks.watching import Lsyncd, Syncthing

TITLE = "one file of 500 MB"
SIZE = 500_000_000
TOOK = "took"
TARGET = 1.5
FLAT = 32  # MB
# They take many times longer than the others: once is enough.
SLOW = frozenset({Syncthing.name})


def run(bench: Bench) -> Report:
    report = Report("large", TITLE)
    ours = Entries()
    contestants: list[Syncer] = [ours, *copiers(), *syncers(), Lsyncd(), Syncthing()]

    def measure(one: Syncer) -> Spent:
        tree = Tree("large.bin", {"": ["large.bin"]})
        fill(tree, one.pair.beside, SIZE)
        return one.bring(tree)

    for who, values in bench.anew(report, contestants, measure, SLOW).items():
        report.add(who, TOOK, [spent.seconds * 1000 for spent in values], "ms")
        report.add(who, "CPU", [spent.cpu * 1000 for spent in values], "ms")
        _tell_memory(report, who, values, at_most(FLAT) if who == ours.name else None)
    report.compare(TOOK, ours.name, CP, at_most(TARGET))
    report.compare(TOOK, ours.name, CP_SYNCED)
    return report


def _tell_memory(report: Report, who: str, values: list[Spent], bound: Bound | None) -> None:
    """Of those that were there before."""
    peaks = [spent.peak_mb for spent in values if spent.peak_mb is not None]
    grown = [spent.grown_mb for spent in values if spent.grown_mb is not None]
    if peaks:
        report.add(who, "memory at its peak", peaks, "MB")
        report.add(who, "… above before", grown, "MB", bound)
