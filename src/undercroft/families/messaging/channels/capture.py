"""Keeps messages for looking at, and sends none: the delivery is kept as long as delivered ones are."""

import msgspec

from undercroft.base.clock import Clock
from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result, Target

TRANSPORT = "messaging capture"
CAPTURED = "captured: it was not sent to anybody"


def target(tx: Transaction, now: int) -> int:
    return own_target(tx, "capture", TRANSPORT, msgspec.Raw(b"{}"), now)


class CaptureTransport:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def host(self, _target: Target) -> None:
        return None

    async def send(self, _target: Target, _delivery: Delivery, _webhook_id: str, _headers: dict[str, str]) -> Outcome:
        return Outcome(self._clock(), 0, Result.DONE, reply=CAPTURED)
