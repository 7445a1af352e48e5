"""Creating jobs in bulks of 500, four bulks at once."""

from benchmarks.bench import Bench
from benchmarks.measures import Report, at_least
from benchmarks.peer import Peer, bullmq, procrastinate
from benchmarks.undercroft import Undercroft
from benchmarks.works.create import CREATED, tell

TITLE = "create in bulks of 500, 4 at once"


def run(bench: Bench) -> Report:
    report = Report("bulk", TITLE)
    ours = Undercroft()
    peers = [bullmq("always"), bullmq("everysec"), procrastinate()]
    contestants: list[Undercroft | Peer] = [ours, *peers]
    rates = bench.alternate(report, contestants, lambda c: c.bulk(bench.seconds))
    tell(report, rates)
    for peer in peers:
        report.compare(CREATED, ours.name, peer.name, at_least(3) if peer is peers[0] else None)
    return report
