"""What couriers count, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter

from undercroft.machinery.deliveries.hooks import Settled
from undercroft.machinery.deliveries.model import Outcome
from undercroft.machinery.figures import Histogram

_LATENESS = Histogram(
    "undercroft_delivery_lateness_seconds",
    "From the moment a delivery was due until it was sent",
    ("family",),
    (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0),
)
_ATTEMPTS = Histogram(
    "undercroft_delivery_attempt_seconds",
    "Attempts: how long the call took, by what came back",
    ("family", "outcome"),
    (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0),
)
_SETTLED = Counter(
    "undercroft_deliveries_settled_total", "Deliveries, by the state they came to", ["state"], registry=REGISTRY
)


def note_sent(family: str, outcome: Outcome, lateness_ms: int) -> None:
    _LATENESS.note((family,), lateness_ms / 1_000)
    answer = f"{outcome.status // 100}xx" if outcome.status else "no answer"
    _ATTEMPTS.note((family, answer), outcome.took_ms / 1_000)


def note_settled(settled: Iterable[Settled]) -> None:
    for state, count in Tally(one.verdict.state for one in settled).items():
        _SETTLED.labels(state.name.lower()).inc(count)
