"""32 clients in line for one name: how long each waits for its turn, takes it and gives it back."""

from benchmarks.bench import Bench
from benchmarks.lockers import EtcdLocks, Locker, UndercroftLocks, postgres_locks, redis_locks
from benchmarks.measures import Pairs, Report, at_most

TITLE = "32 clients on one name, in line (Redis has none: it is asked again and again)"


def run(bench: Bench) -> Report:
    report = Report("contended", TITLE)
    ours = UndercroftLocks()
    contestants: list[Locker] = [ours, redis_locks(), EtcdLocks(), postgres_locks()]
    found = bench.alternate(report, contestants, lambda c: c.pairs(32, bench.seconds, contended=True))
    for who, values in found.items():
        _tell(report, who, values, is_ours=who == ours.name)
    return report


def _tell(report: Report, who: str, values: list[Pairs], *, is_ours: bool) -> None:
    report.add(who, "pairs", [pairs.per_second for pairs in values], "pairs/s")
    report.add(who, "p50", [pairs.percentile(50) for pairs in values], "ms")
    report.add(who, "p99", [pairs.percentile(99) for pairs in values], "ms")
    fairness = [pairs.percentile(99) / pairs.percentile(50) for pairs in values]
    report.add(who, "p99 / p50", fairness, "times", at_most(3) if is_ours else None)
