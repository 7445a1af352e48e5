"""Queueing e-mails, one per request, 32 clients at once: answered when the e-mail is durable. Nothing leaves the house.

Once for tomorrow, which is the queueing alone; once captured at once, where the courier works beside it.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.load import load
from benchmarks.measures import Bound, Rate, Report, at_least
from benchmarks.node import Node
from benchmarks.processes import cpu_seconds

TITLE = "e-mails queued, one per request, 32 clients"
QUEUED = "queued"
CLIENTS = 32
# More than any server here answers in a second.
MOST_A_SECOND = 15_000
TARGET = 3_000
DAY = 86_400_000


@dataclass
class Mail:
    name: str
    delay: int = 0
    """How much later an e-mail is to be sent (ms)."""

    def open(self, folder: Path) -> None:
        self.numbers = count()
        self.node = Node(folder / "node", secrets.token_hex(20))

    def close(self) -> None:
        self.node.stop()

    def enqueue(self, seconds: float) -> Rate:
        requests = [next(self._requests()) for _ in range(int(seconds * MOST_A_SECOND))]
        cpu = cpu_seconds([self.node.pid])
        tally = load(self.node.port, iter(requests), CLIENTS, seconds)
        return Rate(tally.answered, tally.seconds, cpu_seconds([self.node.pid]) - cpu)

    def _requests(self) -> Iterator[bytes]:
        number = next(self.numbers)
        email = {
            "to": f"user{number}@example.com",
            "subject": f"Your order {number}",
            "body": "Thank you for your order. It is on its way to you and should be there tomorrow.",
        }
        later = {"send_at": time.time_ns() // 1_000_000 + self.delay} if self.delay else {}
        yield self.node.request("POST", "/systems/emails", {**email, **later})


def run(bench: Bench) -> Report:
    report = Report("enqueue", TITLE)
    contestants = [Mail("Undercroft, for tomorrow", DAY), Mail("Undercroft, captured")]
    rates = bench.alternate(report, contestants, lambda one: one.enqueue(bench.seconds))
    bounds: dict[str, Bound] = {contestants[0].name: at_least(TARGET)}
    for who, values in rates.items():
        report.add(who, QUEUED, [rate.per_second for rate in values], "mails/s", bounds.get(who))
        report.add(who, "CPU per mail", [rate.cpu_us for rate in values], "µs")
    return report
