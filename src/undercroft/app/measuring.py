"""How long requests take, counted in plain lists and handed to Prometheus when it asks.

prometheus-client's own histogram takes a lock per bucket and per sum: 3 % of a request. All of this is one thread's.
"""

from bisect import bisect_left
from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Durations(Collector):
    """A histogram of seconds by operation and class of status."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._sums: dict[tuple[str, int], float] = {}
        REGISTRY.register(self)

    def note(self, operation: str, status: int, seconds: float) -> None:
        key = (operation, status // 100)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * (len(BUCKETS) + 1)
            self._sums[key] = 0.0
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._sums[key] += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "undercroft_request_seconds", "Requests, by operation and class of status", labels=["operation", "status"]
        )
        for (operation, status), counts in self._counts.items():
            family.add_metric([operation, f"{status}xx"], _cumulative(counts), self._sums[operation, status])
        yield family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
