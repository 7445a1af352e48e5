"""Subscriptions over HTTP, 32 clients at once: made, and read one by one.

The system that this was built after took 23.1 ms of CPU to make one and 28 ms to read one, its database included,
measured on a like machine with two web workers: those are its figures here.
"""

from benchmarks.bench import Bench
from benchmarks.measures import Report, at_least
from benchmarks.messages import Messages

TITLE = "subscriptions made and read, 32 clients"
ORIGINAL_MADE_US, ORIGINAL_READ_US = 23_100, 28_000
TIMES = 50


def run(bench: Bench) -> Report:
    report = Report("subscribe", TITLE)
    ours = Messages()
    rounds = []
    for _ in range(bench.rounds):
        with bench.opened(ours) as opened:
            opened.series("http://127.0.0.1:9/never")
            made = bench.turn(ours.name, lambda one: one.create(bench.seconds), opened)
            rounds.append((made, bench.turn(ours.name, lambda one: one.read(bench.seconds), opened)))
    for position, (what, original) in enumerate((("made", ORIGINAL_MADE_US), ("read", ORIGINAL_READ_US))):
        rates = [both[position] for both in rounds]
        report.add(ours.name, what, [rate.per_second for rate in rates], "subscriptions/s")
        report.add(ours.name, f"CPU per subscription {what}", [rate.cpu_us for rate in rates], "µs")
        times = [original / rate.cpu_us for rate in rates]
        report.add(ours.name, f"{what} per CPU second, times the original's", times, "×", at_least(TIMES))
    return report
