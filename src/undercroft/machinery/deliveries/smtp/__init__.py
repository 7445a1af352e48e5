"""The SMTP transport: one message to one recipient at a time, by the relay that the settings name."""

from undercroft.machinery.deliveries.smtp.capture import CAPTURED, CaptureTransport
from undercroft.machinery.deliveries.smtp.envelope import Envelope, NothingToSend
from undercroft.machinery.deliveries.smtp.relay import Relay, read_relay
from undercroft.machinery.deliveries.smtp.transport import SmtpTransport

__all__ = ["CAPTURED", "CaptureTransport", "Envelope", "NothingToSend", "Relay", "SmtpTransport", "read_relay"]
