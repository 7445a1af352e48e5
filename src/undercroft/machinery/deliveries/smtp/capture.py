"""Where no relay is configured: nothing leaves the house, and nobody is told that it did."""

from undercroft.base.clock import Clock
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result, Target
from undercroft.machinery.deliveries.smtp.envelope import Check, envelope_or_end

CAPTURED = "captured: no relay is configured"


class CaptureTransport:
    def __init__(self, clock: Clock, check: Check) -> None:
        self._clock = clock
        self._check = check

    def beside(self, check: Check) -> "CaptureTransport":
        return CaptureTransport(self._clock, check)

    def host(self, _target: Target) -> None:
        return None

    async def send(
        self, _target: Target, delivery: Delivery, _webhook_id: str, _family_headers: dict[str, str]
    ) -> Outcome:
        """It is kept already."""
        started_at = self._clock()
        checked = await envelope_or_end(self._check, delivery, started_at)
        return checked if isinstance(checked, Outcome) else Outcome(started_at, 0, Result.DONE, reply=CAPTURED)

    async def tidy(self, _now: int) -> bool:
        return False

    async def close(self) -> None:
        pass
