"""What a family that owns deliveries may say about them. Every hook has a plain default."""

from collections.abc import Callable
from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Delivery, Outcome, Queue, Target
from undercroft.machinery.deliveries.policy import Verdict


class Settled(NamedTuple):
    delivery: Delivery
    outcome: Outcome
    verdict: Verdict


def _no_headers(_delivery: Delivery, _queue: Queue, _target: Target) -> dict[str, str]:
    return {}


class Hooks(NamedTuple):
    headers: Callable[[Delivery, Queue, Target], dict[str, str]] = _no_headers
    """Headers that the family adds to a delivered request; names and values must be printable ASCII."""
    settled: Callable[[Transaction, list[Settled]], None] | None = None
    """Told in the settling transaction, so that the family's own state moves exactly when the delivery does."""
    replay: Callable[[Transaction, Delivery, int], None] | None = None
    """Tries a dead one anew, where that is more than being due again: it stands in the way of what came after it."""
    due: Callable[[Transaction, list[Delivery], int], None] | None = None
    """Does what ticks (`Kind.TICK`) are for, in the claiming transaction: it must give each claimed row back."""
