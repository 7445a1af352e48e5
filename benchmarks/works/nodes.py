"""Three nodes on one PostgreSQL against one: fires per second, none doubled."""

from benchmarks.bench import Bench
from benchmarks.measures import Firing, Report, at_least, at_most
from benchmarks.undercroft import Undercroft
from benchmarks.works.instant import PLAN

TITLE = "three nodes on one PostgreSQL against one"
FIRED = "fired"


def run(bench: Bench) -> Report:
    report = Report("nodes", TITLE)
    one, three = "one node", "three nodes"
    found: dict[str, list[Firing]] = {one: [], three: []}

    def fire(nodes: Undercroft) -> Firing:
        return nodes.fire(PLAN, bench.arrivals)

    with bench.opened(Undercroft("Undercroft on PostgreSQL", nodes_on_postgres=3)) as server:
        others = server.nodes[1:]
        for _ in range(bench.rounds):
            for node in others:
                node.stop()
            found[one].append(bench.turn(one, fire, server))
            for node in others:
                node.start()
            found[three].append(bench.turn(three, fire, server))
    for who, values in found.items():
        _tell(report, who, values)
    report.compare(FIRED, three, one, at_least(1))
    return report


def _tell(report: Report, who: str, firings: list[Firing]) -> None:
    report.add(who, FIRED, [firing.fires_per_second for firing in firings], "jobs/s")
    report.add(who, "CPU per job", [firing.cpu_us for firing in firings], "µs")
    report.add(who, "early", [firing.early for firing in firings], "jobs", at_most(0))
    report.add(who, "arrived again", [firing.doubled for firing in firings], "jobs", at_most(0))
