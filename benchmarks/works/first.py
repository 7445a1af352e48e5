"""The first sync of many small files: from the start of a program, or from the moment a folder appears in a source that
is watched, until all can be read on the other side."""

from benchmarks.bench import Bench
from benchmarks.copying import RSYNC, RSYNC_SYNCED, Spent, Syncer, copiers, syncers
from benchmarks.entries import Entries
from benchmarks.measures import Report, at_most
from benchmarks.trees import fill, small_files
from benchmarks.watching import Lsyncd, Syncthing

FILES, SIZE = 5_000, 4_096
TITLE = f"first sync of {FILES:,} files of 4 KiB"
TOOK = "took"
TARGET = 1.0
# They take many times longer than the others: once is enough.
SLOW = frozenset({Syncthing.name})


def run(bench: Bench) -> Report:
    report = Report("first", TITLE)
    ours, started = Entries(), Entries("Undercroft, source started", starting=True)
    contestants: list[Syncer] = [ours, started, *copiers(), *syncers(), Lsyncd(), Syncthing()]

    def measure(one: Syncer) -> Spent:
        tree = small_files("many", FILES)
        fill(tree, one.pair.beside, SIZE)
        return one.bring(tree)

    for who, values in bench.anew(report, contestants, measure, SLOW, keep=True).items():
        report.add(who, TOOK, [spent.seconds * 1000 for spent in values], "ms")
        report.add(who, "CPU per file", [spent.cpu / FILES * 1e6 for spent in values], "µs")
    report.compare(TOOK, ours.name, RSYNC, at_most(TARGET))
    report.compare(TOOK, ours.name, RSYNC_SYNCED)
    report.compare(TOOK, started.name, RSYNC)
    return report
