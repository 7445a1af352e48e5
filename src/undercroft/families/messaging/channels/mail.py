"""`mail`: one e-mail per message, handed to the relay that the house's mail goes by."""

import base64
import hashlib
from typing import Any

import msgspec

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.families.messaging.lookup import Lookup
from undercroft.families.messaging.model import EMAIL
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target
from undercroft.machinery.deliveries.smtp import CaptureTransport, Envelope, NothingToSend, Relay, SmtpTransport
from undercroft.machinery.mail.addresses import read_mailbox
from undercroft.machinery.mail.message import build
from undercroft.machinery.mail.model import Mail

TRANSPORT = "messaging mail"
ADDRESS_KIND = EMAIL
LONGEST_SUBJECT = 200


def target(tx: Transaction, now: int) -> int:
    return own_target(tx, "mail", TRANSPORT, msgspec.Raw(b"{}"), now, concurrency=8)


class MailTransport:
    """As the house's SMTP transport, with mails made of messages."""

    def __init__(self, clock: Clock, relay: Relay | None, sender: str, lookup: Lookup | None) -> None:
        self._sender = sender
        self._lookup = lookup
        self._smtp = (
            CaptureTransport(clock, self._envelope) if relay is None else SmtpTransport(clock, relay, self._envelope)
        )

    async def send(self, target: Target, delivery: Delivery, webhook_id: str, headers: dict[str, str]) -> Outcome:
        found = delivery if self._lookup is None else await self._lookup.addressed(delivery, EMAIL)
        if isinstance(found, Outcome):
            return found
        return await self._smtp.send(target, found, webhook_id, headers)

    async def tidy(self, now: int) -> bool:
        """A step: hang up on connections that nobody has used for a while."""
        return await self._smtp.tidy(now)

    async def close(self) -> None:
        await self._smtp.close()

    async def _envelope(self, delivery: Delivery) -> Envelope:
        body = msgspec.json.decode(delivery.body)
        try:
            recipient = read_mailbox("to", body["to_addr"])
            mail = _mail(
                body, msgspec.json.decode(delivery.options or "{}"), read_mailbox("from", self._sender), recipient
            )
        except Refusal as refusal:
            raise NothingToSend(refusal.message) from None
        # The same id at each attempt: a relay that took it before says so by it.
        id = base64.b32encode(hashlib.sha256(delivery.name.encode()).digest()[:15]).decode().lower()
        return Envelope(mail.sender.address, recipient.address, build(mail, id, delivery.created_at))


def _mail(body: dict[str, Any], options: dict[str, Any], sender: Any, recipient: Any) -> Mail:
    """The subject: what the message's metadata says, else the set's label."""
    metadata = body["metadata"] if isinstance(body["metadata"], dict) else {}
    subject = metadata.get("subject") or options.get("label") or "A message for you"
    links = tuple(
        url for url in (metadata.get("image_url"), *metadata.get("voice_speech_url", ())) if isinstance(url, str)
    )
    text = "\n\n".join([part for part in (body.get("content"), *links) if part])
    opt_out = options.get("opt_out")
    return Mail(
        sender=sender,
        subject=" ".join(str(subject).split())[:LONGEST_SUBJECT],
        to=(recipient,),
        text=text,
        unsubscribe=(opt_out,) if opt_out else (),
    )
