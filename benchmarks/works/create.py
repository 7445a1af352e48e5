"""Creating jobs, one per request, 32 clients at once. Ours answers when the job is durable."""

from benchmarks.bench import Bench
from benchmarks.measures import Rate, Report, at_least
from benchmarks.peer import Peer, apscheduler, bullmq, celery, procrastinate
from benchmarks.undercroft import Undercroft

TITLE = "create, one per request, 32 clients"
CREATED = "created"


def run(bench: Bench) -> Report:
    report = Report("create", TITLE)
    ours = Undercroft()
    shared = bullmq("always", one_connection=True)
    peers = [bullmq("always"), shared, bullmq("everysec"), procrastinate(), apscheduler(), celery()]
    contestants: list[Undercroft | Peer] = [ours, *peers]
    rates = bench.alternate(report, contestants, lambda c: c.create(bench.seconds))
    tell(report, rates)
    bounds = {peers[0].name: at_least(1.0), "procrastinate": at_least(7), "APScheduler": at_least(18)}
    for peer in peers:
        report.compare(CREATED, ours.name, peer.name, bounds.get(peer.name))
    return report


def tell(report: Report, rates: dict[str, list[Rate]]) -> None:
    for who, values in rates.items():
        report.add(who, CREATED, [rate.per_second for rate in values], "jobs/s")
        report.add(who, "CPU per job", [rate.cpu_us for rate in values], "µs")
