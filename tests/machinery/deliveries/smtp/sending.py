"""What is sent in these tests, and with what."""

from collections.abc import Callable

from tests.machinery.deliveries.making import NOW
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target, TargetSettings
from undercroft.machinery.deliveries.smtp import (
    Envelope,
    SmtpTransport,
)

LEASE = 60_000
ANN = "ann@example.com"
MESSAGE = b"From: a@home.example\r\nMessage-ID: <1@home.example>\r\nSubject: Hi\r\n\r\n.\r\n..dots\r\nEnd\r\n"


def delivery(recipient: str = ANN) -> Delivery:
    return Delivery(7, 1, "m.0", 1, 2, 0, NOW + LEASE, NOW, 1, 0, 1, NOW, recipient, None, None, None, None)


def target(timeout: float = 10.0) -> Target:
    return Target(1, "mail", "shop", "relay", "smtp", TargetSettings(timeout=timeout), 8, None, None, None, None, 1)


async def envelope_of(one: Delivery) -> Envelope:
    return Envelope("house@home.example", one.body, MESSAGE)


Connect = Callable[..., SmtpTransport]


async def send(transport: SmtpTransport, recipient: str = ANN, timeout: float = 10.0) -> Outcome:
    return await transport.send(target(timeout), delivery(recipient), "msg", {})
