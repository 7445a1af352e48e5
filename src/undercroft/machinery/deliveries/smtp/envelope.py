"""What a relay is given: who sends, to whom, and the message's bytes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.deliveries.model import Delivery, NotSent, Outcome, Result


@dataclass(frozen=True, slots=True)
class Envelope:
    sender: str
    recipient: str
    message: bytes
    """With CRLF line ends."""


class NothingToSend(Exception):
    """The delivery has lost its sense since it was ordered; the message says why."""


Check = Callable[[Delivery], Awaitable[object]]
"""Whether it is still to be sent. May raise as EnvelopeOf."""

EnvelopeOf = Callable[[Delivery], Awaitable[Envelope]]
"""Whoever owns the deliveries knows what is in them. May raise NothingToSend, or Refusal."""

T = TypeVar("T")


async def envelope_or_end(asked: Callable[[Delivery], Awaitable[T]], delivery: Delivery, now: int) -> T | Outcome:
    """What EnvelopeOf or Check gives; an outcome where trying again can't help. Raises NotSent where it can.

    A mail that our own rules refuse now is refused for good; what can't be read at this moment is as good as before.
    """
    try:
        return await asked(delivery)
    except NothingToSend as nothing:
        return Outcome(now, 0, Result.HOPELESS, error=str(nothing))
    except Refusal as refusal:
        if refusal.kind is Kind.UNAVAILABLE:
            raise NotSent(refusal.message) from refusal
        return Outcome(now, 0, Result.HOPELESS, error=f"the mail can't be written: {refusal.message}")
