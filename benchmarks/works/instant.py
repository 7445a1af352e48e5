"""5,000 jobs due at one instant: the time from that instant until the last one has arrived."""

from benchmarks.bench import Bench
from benchmarks.measures import Firing, Plan, Report, at_most
from benchmarks.peer import Peer, apscheduler, bullmq, celery, procrastinate
from benchmarks.undercroft import Undercroft

TITLE = "5,000 due at one instant, until the last has arrived"
PLAN = Plan(5000)
LAST = "last arrival"


def run(bench: Bench) -> Report:
    report = Report("instant", TITLE)
    ours = Undercroft()
    peers = [bullmq("always"), bullmq("everysec"), procrastinate(), celery(), apscheduler()]
    slow = frozenset(peer.name for peer in peers[2:])
    contestants: list[Undercroft | Peer] = [ours, *peers]
    firings = bench.alternate(report, contestants, lambda c: c.fire(PLAN, bench.arrivals), slow)
    for who, values in firings.items():
        tell(report, who, values)
    bounds = {peers[0].name: at_most(0.4), "procrastinate": at_most(0.05)}
    for peer in peers:
        report.compare(LAST, ours.name, peer.name, bounds.get(peer.name))
    return report


def tell(report: Report, who: str, firings: list[Firing]) -> None:
    report.add(who, LAST, [firing.last for firing in firings], "ms")
    report.add(who, "CPU per job", [firing.cpu_us for firing in firings], "µs")
    report.add(who, "early", [firing.early for firing in firings], "jobs")
    report.add(who, "arrived again", [firing.doubled for firing in firings], "jobs")
