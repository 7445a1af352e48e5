"""50 jobs per second for 20 s: how late each one arrives; never early."""

from benchmarks.bench import Bench
from benchmarks.measures import Firing, Plan, Report, at_most
from benchmarks.peer import Peer, apscheduler, bullmq, celery, procrastinate
from benchmarks.undercroft import Undercroft

TITLE = "50 per second for 20 s, lateness"
LATE = "lateness p99"
IDLE = 15.0
SHORT = Plan(500, spacing=20)


def plan(bench: Bench) -> Plan:
    return SHORT if bench.quick else Plan(1000, spacing=20)


def run(bench: Bench) -> Report:
    report = Report("steady", TITLE)
    ours = Undercroft()
    peers = [bullmq("always"), procrastinate(), celery(), apscheduler()]
    if bench.quick:
        del peers[1:]
    slow = frozenset(peer.name for peer in peers[1:])
    contestants: list[Undercroft | Peer] = [ours, *peers]

    def fire(contestant: Undercroft | Peer) -> Firing:
        return contestant.fire(SHORT if contestant.name in slow else plan(bench), bench.arrivals)

    firings = bench.alternate(report, contestants, fire, slow)
    for who, values in firings.items():
        tell(report, who, values, ours=who == ours.name)
    for peer in peers:
        report.compare(LATE, ours.name, peer.name, at_most(0.15) if peer is peers[0] else None)
    return report


def tell(report: Report, who: str, firings: list[Firing], ours: bool) -> None:
    report.add(who, "lateness p50", [firing.late(50) for firing in firings], "ms")
    report.add(who, LATE, [firing.late(99) for firing in firings], "ms", at_most(IDLE) if ours else None)
    report.add(who, "lateness max", [firing.lateness[-1] for firing in firings], "ms")
    report.add(who, "early", [firing.early for firing in firings], "jobs", at_most(0) if ours else None)
    report.add(who, "CPU per job", [firing.cpu_us for firing in firings], "µs")
