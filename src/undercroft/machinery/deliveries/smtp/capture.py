"""Where no relay is configured: nothing leaves the house, and nobody is told that it did."""

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries.model import Delivery, NotSent, Outcome, Result, Target
from undercroft.machinery.deliveries.smtp.envelope import Check, NothingToSend

CAPTURED = "captured: no relay is configured"


class CaptureTransport:
    def __init__(self, clock: Clock, check: Check) -> None:
        self._clock = clock
        self._check = check

    async def send(
        self, _target: Target, delivery: Delivery, _webhook_id: str, _family_headers: dict[str, str]
    ) -> Outcome:
        """It is kept already."""
        started_at = self._clock()
        try:
            await self._check(delivery)
        except NothingToSend as nothing:
            return Outcome(started_at, 0, Result.HOPELESS, error=str(nothing))
        except Refusal as refusal:
            raise NotSent(refusal.message) from refusal
        return Outcome(started_at, 0, Result.DONE, reply=CAPTURED)

    async def tidy(self, _now: int) -> bool:
        return False

    async def close(self) -> None:
        pass
