"""The four works again, with a million jobs pending against a thousand; memory and start with a million."""

from benchmarks.bench import Bench
from benchmarks.measures import Firing, Rate, Report, at_least, at_most
from benchmarks.undercroft import Undercroft
from benchmarks.works import instant, steady

TITLE = "the same four with 1,000,000 pending against 1,000"
FEW = 1_000
WORSE = 1.25
Found = tuple[Firing, Firing, Rate, Rate]


def run(bench: Bench) -> Report:
    many = 200_000 if bench.quick else 1_000_000
    report = Report("pending", TITLE.replace("1,000,000", f"{many:,}"))
    few_name, many_name = f"Undercroft, {FEW:,} pending", f"Undercroft, {many:,} pending"
    found: dict[str, list[Found]] = {few_name: [], many_name: []}

    def four_works(server: Undercroft) -> Found:
        return _four_works(bench, server)

    with bench.opened(Undercroft(many_name)) as full:
        bench.say(f"  creating {many:,} jobs")
        full.fill(many)
        for _ in range(2 if not bench.quick else 1):
            # What a round creates would soon make many of few, so few begins anew.
            with bench.opened(Undercroft(few_name)) as light:
                light.fill(FEW)
                found[few_name].append(bench.turn(few_name, four_works, light))
            found[many_name].append(bench.turn(many_name, four_works, full))
        _memory_and_start(report, full)
    for who, values in found.items():
        _tell(report, who, values)
    _compare(report, many_name, few_name)
    return report


def _four_works(bench: Bench, server: Undercroft) -> Found:
    """The firing ones first: they are to meet the number that the work is named after."""
    at_once = server.fire(instant.PLAN, bench.arrivals)
    steadily = server.fire(steady.plan(bench), bench.arrivals)
    return at_once, steadily, server.create(bench.seconds / 2), server.bulk(bench.seconds / 2)


def _memory_and_start(report: Report, server: Undercroft) -> None:
    node = server.nodes[0]
    report.add(server.name, "memory", [node.resident_mb], "MB", at_most(300))
    node.stop()
    report.add(server.name, "start", [node.start()], "s", at_most(3))
    report.add(server.name, "memory after start", [node.resident_mb], "MB", at_most(300))


def _tell(report: Report, who: str, found: list[Found]) -> None:
    report.add(who, instant.LAST, [at_once.last for at_once, *_ in found], "ms")
    report.add(who, steady.LATE, [steadily.late(99) for _, steadily, *_ in found], "ms")
    report.add(who, "created", [single.per_second for *_, single, _ in found], "jobs/s")
    report.add(who, "created in bulk", [bulk.per_second for *_, bulk in found], "jobs/s")
    report.add(who, "CPU per job fired at once", [at_once.cpu_us for at_once, *_ in found], "µs")
    report.add(who, "CPU per job created", [single.cpu_us for *_, single, _ in found], "µs")
    report.add(who, "CPU per job in bulk", [bulk.cpu_us for *_, bulk in found], "µs")
    early = [at_once.early + steadily.early for at_once, steadily, *_ in found]
    report.add(who, "early", early, "jobs", at_most(0))


def _compare(report: Report, many: str, few: str) -> None:
    for slower in (instant.LAST, steady.LATE):
        report.compare(slower, many, few, at_most(WORSE))
    for fewer in ("created", "created in bulk"):
        report.compare(fewer, many, few, at_least(1 / WORSE))
