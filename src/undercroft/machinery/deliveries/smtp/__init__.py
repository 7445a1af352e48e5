"""The SMTP transport: one message to one recipient at a time, by the relay that the settings name."""

from undercroft.machinery.deliveries.smtp.capture import CAPTURED, CaptureTransport
from undercroft.machinery.deliveries.smtp.envelope import Envelope, NothingToSend
from undercroft.machinery.deliveries.smtp.relay import CONNECTIONS, Relay, read_relay
from undercroft.machinery.deliveries.smtp.room import share_of_one
from undercroft.machinery.deliveries.smtp.transport import Limits, SmtpTransport

__all__ = [
    "CAPTURED",
    "CONNECTIONS",
    "CaptureTransport",
    "Envelope",
    "Limits",
    "NothingToSend",
    "Relay",
    "SmtpTransport",
    "read_relay",
    "share_of_one",
]
