"""What couriers count, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Histogram

from undercroft.machinery.deliveries.hooks import Settled
from undercroft.machinery.deliveries.model import Outcome

_LATENESS = Histogram(
    "undercroft_delivery_lateness_seconds",
    "From the moment a delivery was due until it was sent",
    ["family"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600),
    registry=REGISTRY,
)
_ATTEMPTS = Counter(
    "undercroft_delivery_attempts_total",
    "Attempts, by what came back",
    ["family", "outcome"],
    registry=REGISTRY,
)
_SETTLED = Counter(
    "undercroft_deliveries_settled_total",
    "Deliveries, by the state they came to",
    ["state"],
    registry=REGISTRY,
)


class Metrics:
    """Children are looked up once: `labels()` costs more than counting."""

    def __init__(self) -> None:
        self._lateness: dict[str, Histogram] = {}
        self._attempts: dict[tuple[str, str], Counter] = {}

    def sent(self, family: str, outcome: Outcome, lateness_ms: int) -> None:
        if family not in self._lateness:
            self._lateness[family] = _LATENESS.labels(family)
        self._lateness[family].observe(lateness_ms / 1_000)
        key = (family, f"{outcome.status // 100}xx" if outcome.status else "no answer")
        if key not in self._attempts:
            self._attempts[key] = _ATTEMPTS.labels(*key)
        self._attempts[key].inc()

    def settled(self, settled: Iterable[Settled]) -> None:
        counts: dict[str, int] = {}
        for one in settled:
            state = one.verdict.state.name.lower()
            counts[state] = counts.get(state, 0) + 1
        for state, count in counts.items():
            _SETTLED.labels(state).inc(count)
