"""One new file of 4 KiB, from before it is made until it can be read on the other side. Nothing else goes on."""

import time
from itertools import count
from statistics import median

from benchmarks.bench import Bench
from benchmarks.entries import Entries
from benchmarks.measures import Report, at_most
from benchmarks.watching import Lsyncd, Syncthing, UnisonWatch, Watcher

TITLE = "one new small file, until it can be read on the other side"
TARGET = 50
# So many in a turn, unless they take so long (s) in all; pauses of this long (s) between them.
FILES, LONGEST, PAUSE = 30, 5.0, 0.05


def run(bench: Bench) -> Report:
    report = Report("latency", TITLE)
    ours = Entries()
    contestants: list[Watcher] = [ours, Lsyncd(), UnisonWatch(), Syncthing()]
    numbers = count()

    def measure(one: Watcher) -> list[float]:
        took: list[float] = []
        until = time.monotonic() + LONGEST
        while len(took) < FILES and (time.monotonic() < until or len(took) < 2):
            time.sleep(PAUSE)
            took.append(one.one_more(f"new-{next(numbers)}"))
        return took

    for who, values in bench.alternate(report, contestants, measure).items():
        report.add(
            who, "median", [median(took) for took in values], "ms", at_most(TARGET) if who == ours.name else None
        )
        report.add(who, "slowest", [max(took) for took in values], "ms")
    for other in contestants[1:]:
        report.compare("median", ours.name, other.name)
    return report
