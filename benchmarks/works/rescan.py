"""Finding out that nothing has changed, on both sides; everything is in the page cache."""

from statistics import median

from benchmarks.bench import Bench
from benchmarks.copying import RSYNC, Spent, Syncer, syncers
from benchmarks.entries import Entries
from benchmarks.measures import Report, at_most
from benchmarks.trees import fill, small_files
from benchmarks.watching import Syncthing

FILES, SIZE = 5_000, 4_096
TITLE = f"rescan of {FILES:,} unchanged files"
TOOK = "took"
TIMES, MOST_MS = 2.0, 300
LOOKS = 5


def run(bench: Bench) -> Report:
    report = Report("rescan", TITLE)
    ours = Entries()
    contestants: list[Syncer] = [ours, *syncers(), Syncthing()]
    filled: set[str] = set()

    def measure(one: Syncer) -> Spent:
        if one.name not in filled:
            tree = small_files("many", FILES)
            fill(tree, one.pair.beside, SIZE)
            one.bring(tree)
            one.rescan()
            filled.add(one.name)
        return _typical([one.rescan() for _ in range(LOOKS)])

    for who, values in bench.alternate(report, contestants, measure, keep=True).items():
        bound = at_most(MOST_MS) if who == ours.name else None
        report.add(who, TOOK, [spent.seconds * 1000 for spent in values], "ms", bound)
        report.add(who, "CPU", [spent.cpu * 1000 for spent in values], "ms")
    report.compare(TOOK, ours.name, RSYNC, at_most(TIMES))
    return report


def _typical(looks: list[Spent]) -> Spent:
    return Spent(median(look.seconds for look in looks), median(look.cpu for look in looks))
