"""Firing a schedule with a million active subscribers: until the first thousand have arrived, the memory that it takes,
and how long other requests take meanwhile."""

import http.client
import time

from benchmarks.bench import Bench
from benchmarks.measures import Report, at_most
from benchmarks.messages import API, Messages

TITLE = "firing a schedule with 1,000,000 active subscribers"
FIRST = 1_000
# How long others are watched, idle and while the send runs (s); a request every so often (s).
WATCHED, EVERY = 10.0, 0.01
SLOWER = 3.0


def run(bench: Bench) -> Report:
    people = 200_000 if bench.quick else 1_000_000
    report = Report("million", TITLE.replace("1,000,000", f"{people:,}"))
    ours = Messages()
    with bench.opened(ours) as opened:
        opened.series(bench.arrivals.url())
        bench.say(f"  putting in {people:,} subscriptions")
        opened.fill(people)
        idle = _others(opened)
        before = opened.node.resident_mb
        bench.arrivals.forget()
        asked = opened.fire()
        busy = _others(opened)
        arrived = bench.arrivals.list()
        report.add(ours.name, f"first {FIRST:,} arrived", [arrived[FIRST - 1][1] - asked], "ms")
        report.add(ours.name, "arrived meanwhile", [len(arrived) / WATCHED], "messages/s")
        report.add(ours.name, "memory", [opened.node.resident_mb], "MB", at_most(300))
        report.add(ours.name, "memory before", [before], "MB")
        report.add(ours.name, "others' p99, idle", [_p99(idle)], "ms")
        report.add(ours.name, "others' p99, meanwhile", [_p99(busy)], "ms")
        times = _p99(busy) / _p99(idle)
        report.add(ours.name, "others' p99, times idle", [times], "×", at_most(SLOWER))
    return report


def _others(opened: Messages) -> list[float]:
    """How long each of somebody else's requests took (ms)."""
    connection = http.client.HTTPConnection("127.0.0.1", opened.node.port, timeout=60)
    headers = {"Authorization": f"Bearer {opened.node.token}"}
    took = []
    until = time.perf_counter() + WATCHED
    while time.perf_counter() < until:
        began = time.perf_counter()
        connection.request("GET", API + "schedule/1/", headers=headers)
        connection.getresponse().read()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(EVERY)
    connection.close()
    return took


def _p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)]
