"""Histograms counted in plain lists and handed to Prometheus when it asks.

prometheus-client's own takes a lock per bucket and per sum: 3 to 4 % of a request or a delivery. These belong to the
event loop's thread alone.
"""

from bisect import bisect_left
from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Histogram(Collector):
    """Seconds, by the values of its labels."""

    def __init__(self, name: str, description: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self._name = name
        self._description = description
        self._labels = labels
        self._buckets = buckets
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        REGISTRY.register(self)

    def note(self, labels: tuple[str, ...], seconds: float) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._buckets) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._buckets, seconds)] += 1
        self._sums[labels] += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._description, labels=self._labels)
        for labels, counts in self._counts.items():
            family.add_metric(labels, self._cumulative(counts), self._sums[labels])
        yield family

    def _cumulative(self, counts: list[int]) -> list[tuple[str, float]]:
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*map(str, self._buckets), "+Inf"), counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets
