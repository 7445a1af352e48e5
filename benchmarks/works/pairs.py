"""Locks obtained and released, each client on a name of its own: 32 at once, and one alone. Ours are durable."""

from benchmarks.bench import Bench
from benchmarks.lockers import (
    EtcdLocks,
    Locker,
    UndercroftLocks,
    etcd_session,
    postgres_locks,
    postgres_rows,
    redis_locks,
)
from benchmarks.measures import Pairs, Report, at_least, at_most

TITLE = "obtain and release, 32 clients on 32 names, and one client alone"
DONE, ALONE = "pairs", "one client, p99"


def run(bench: Bench) -> Report:
    report = Report("pairs", TITLE)
    ours, etcd, session, redis = UndercroftLocks(), EtcdLocks(), etcd_session(), redis_locks()
    postgres, rows = postgres_locks(), postgres_rows()
    contestants: list[Locker] = [ours, redis, etcd, session, postgres, rows]
    found = bench.alternate(report, contestants, lambda c: _measure(c, bench.seconds))
    for who, values in found.items():
        _tell(report, who, values)
    bounds = {redis.name: at_least(0.8), etcd.name: at_least(4), postgres.name: at_least(1.2)}
    for peer in contestants[1:]:
        report.compare(DONE, ours.name, peer.name, bounds.get(peer.name))
    report.compare(ALONE, ours.name, etcd.name, at_most(1))
    return report


def _measure(locker: Locker, seconds: float) -> tuple[Pairs, Pairs]:
    many = locker.pairs(32, seconds, contended=False)
    return many, locker.pairs(1, seconds, contended=False)


def _tell(report: Report, who: str, values: list[tuple[Pairs, Pairs]]) -> None:
    report.add(who, DONE, [many.per_second for many, _ in values], "pairs/s")
    report.add(who, "32 clients, p99", [many.percentile(99) for many, _ in values], "ms")
    report.add(who, "CPU per pair", [many.cpu_us for many, _ in values], "µs")
    report.add(who, "one client, p50", [one.percentile(50) for _, one in values], "ms")
    report.add(who, ALONE, [one.percentile(99) for _, one in values], "ms")
