"""What this node has done since it started, from the counters that /metrics shows."""

from typing import NamedTuple

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

_NAMES = ("undercroft_deliveries_settled_total", "undercroft_delivery_lateness_seconds_bucket")


class Figures(NamedTuple):
    delivered: int
    punctual: str | None
    """Within how long after their moment 99 of 100 were sent; None before the first."""


def figures() -> Figures:
    metrics: list[Metric] = list(REGISTRY.restricted_registry(_NAMES).collect())
    delivered = 0
    buckets: dict[float, float] = {}
    for sample in (sample for metric in metrics for sample in metric.samples):
        if sample.name == _NAMES[0] and sample.labels["state"] == "delivered":
            delivered += int(sample.value)
        elif sample.name == _NAMES[1]:
            bound = float(sample.labels["le"])
            buckets[bound] = buckets.get(bound, 0) + sample.value
    return Figures(delivered, _punctual(buckets))


def _punctual(buckets: dict[float, float]) -> str | None:
    """The smallest bound that holds 99 of 100; the last one holds all."""
    total = buckets.get(float("inf"), 0)
    if not total:
        return None
    bound = min(bound for bound, count in buckets.items() if count >= 0.99 * total)
    if bound == float("inf"):
        return "over an hour"
    return f"{bound * 1_000:g} ms" if bound < 1 else f"{bound:g} s"
