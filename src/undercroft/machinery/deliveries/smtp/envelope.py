"""What a relay is given: who sends, to whom, and the message's bytes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from undercroft.machinery.deliveries.model import Delivery


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
"""Whoever owns the deliveries knows what is in them. May raise NothingToSend, or Refusal(UNAVAILABLE)."""
