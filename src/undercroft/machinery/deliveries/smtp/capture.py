"""Where no relay is configured: nothing leaves the house, and nobody is told that it did."""

from undercroft.base.clock import Clock
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result, Target
from undercroft.machinery.deliveries.smtp.envelope import EnvelopeOf, NothingToSend

CAPTURED = "captured: no relay is configured"


class CaptureTransport:
    def __init__(self, clock: Clock, envelope_of: EnvelopeOf) -> None:
        self._clock = clock
        self._envelope_of = envelope_of

    async def send(
        self, _target: Target, delivery: Delivery, _webhook_id: str, _family_headers: dict[str, str]
    ) -> Outcome:
        """It is kept already. Made all the same, so that what can't be made is noticed here too."""
        started_at = self._clock()
        try:
            await self._envelope_of(delivery)
        except NothingToSend as nothing:
            return Outcome(started_at, 0, Result.HOPELESS, error=str(nothing))
        return Outcome(started_at, 0, Result.DONE, reply=CAPTURED)

    async def tidy(self, _now: int) -> bool:
        return False

    async def close(self) -> None:
        pass
