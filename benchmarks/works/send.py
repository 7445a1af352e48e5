"""One message to 20,000 active subscribers, from the POST that fires the schedule to the last arrival.

The system that this was built after took 77 ms of CPU for each message, and 158 s for 2,000 of them.
"""

from benchmarks.bench import Bench
from benchmarks.measures import Firing, Report, at_least
from benchmarks.messages import Messages

TITLE = "one message to 20,000 subscribers"
PEOPLE = 20_000
ORIGINAL_US = 77_000
TIMES = 100


def run(bench: Bench) -> Report:
    report = Report("send", TITLE)
    ours = Messages()
    firings: list[Firing] = []
    for _ in range(bench.rounds):
        with bench.opened(ours) as opened:
            opened.series(bench.arrivals.url())
            opened.subscribe(PEOPLE)
            firings.append(bench.turn(ours.name, lambda one: one.send(PEOPLE, bench.arrivals), opened))
    report.add(ours.name, "until the last arrived", [one.last for one in firings], "ms")
    report.add(ours.name, "sent", [one.fires_per_second for one in firings], "messages/s")
    report.add(ours.name, "CPU per message", [one.cpu_us for one in firings], "µs")
    times = [ORIGINAL_US / one.cpu_us for one in firings]
    report.add(ours.name, "sent per CPU second, times the original's", times, "×", at_least(TIMES))
    report.add(ours.name, "arrived too often", [max(0, len(one.arrivals) - PEOPLE) for one in firings], "messages")
    return report
