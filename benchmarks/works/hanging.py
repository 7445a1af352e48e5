"""One receiver that hangs for 10 s on every call, beside 100 good routes: the good ones must not feel it."""

from benchmarks.arrivals import Arrivals
from benchmarks.bench import Bench
from benchmarks.measures import Firing, Plan, Report, at_most
from benchmarks.undercroft import Job, Undercroft
from benchmarks.works import steady

TITLE = "one receiver that hangs for 10 s beside 100 good routes"
GOOD_ROUTES = 100
HANG = 10.0
PLAN = Plan(500, spacing=20)
HANGING_EVERY = 10
ALONE, BESIDE = "good routes alone", "good routes beside the hanging one"


def run(bench: Bench) -> Report:
    report = Report("hanging", TITLE)
    found: dict[str, list[Firing]] = {ALONE: [], BESIDE: []}
    hanging = Arrivals(hang=HANG)
    try:
        for _ in range(bench.rounds - 1):
            for who in (ALONE, BESIDE):
                found[who].append(_good_ones(bench, who, hanging))
    finally:
        hanging.close()
    for who, values in found.items():
        steady.tell(report, who, values, ours=False)
    report.compare(steady.LATE, BESIDE, ALONE, at_most(2))
    return report


def _good_ones(bench: Bench, who: str, hanging: Arrivals) -> Firing:
    """On a fresh server each time, so that no call still hangs from the time before."""
    with bench.opened(Undercroft()) as server:
        for i in range(GOOD_ROUTES):
            server.route(f"good-{i}", bench.arrivals.url(f"/good/{i}"))
        server.route("hanging", hanging.url())

        def stuck(due: int) -> list[Job]:
            numbers = range(0, PLAN.count, HANGING_EVERY) if who == BESIDE else ()
            return [server.job(f"stuck-{n}", due + n * PLAN.spacing, "hanging") for n in numbers]

        def fire(ours: Undercroft) -> Firing:
            return ours.fire_on(PLAN, bench.arrivals, lambda n: f"good-{n % GOOD_ROUTES}", beside=stuck)

        return bench.turn(who, fire, server)
