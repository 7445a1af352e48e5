"""`mail`: one e-mail per message, handed to the relay that the house's mail goes by."""

import base64
import hashlib
import unicodedata
from typing import Any

import msgspec

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.families.messaging.lookup import Lookup
from undercroft.families.messaging.model import EMAIL
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target
from undercroft.machinery.deliveries.smtp import CaptureTransport, Envelope, NothingToSend, Relay, SmtpTransport
from undercroft.machinery.mail import suppressions
from undercroft.machinery.mail.addresses import key_of, read_mailbox
from undercroft.machinery.mail.message import build
from undercroft.machinery.mail.model import Mail
from undercroft.machinery.mail.sending import SUPPRESSED

TRANSPORT = "messaging mail"
ADDRESS_KIND = EMAIL
LONGEST_SUBJECT = 200
# Seconds of a conversation with the relay: one that is cut while it takes the message takes it twice.
LONGEST = 120.0
# Control characters, line and paragraph ends, halves of characters.
_UNSEEN = ("Cc", "Zl", "Zp", "Cs")


def target(tx: Transaction, now: int) -> int:
    return own_target(tx, "mail", TRANSPORT, msgspec.Raw(b"{}"), now, concurrency=8, timeout=LONGEST)


class MailTransport:
    """As the house's SMTP transport, with mails made of messages."""

    def __init__(
        self, database: Database, clock: Clock, relay: Relay | None, sender: str, lookup: Lookup | None
    ) -> None:
        self._database = database
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
            if await self._database.read(_is_suppressed, delivery.queue, recipient.address):
                raise NothingToSend(SUPPRESSED)
            mail = _mail(
                body, msgspec.json.decode(delivery.options or "{}"), read_mailbox("from", self._sender), recipient
            )
            # The same id at each attempt: a relay that took it before says so by it.
            id = base64.b32encode(hashlib.sha256(delivery.name.encode()).digest()[:15]).decode().lower()
            message = build(mail, id, delivery.created_at)
        except Refusal as refusal:
            raise NothingToSend(refusal.message) from None
        return Envelope(mail.sender.address, recipient.address, message)


def _is_suppressed(tx: Transaction, queue: int, address: str) -> bool:
    """By the list of the namespace whose message it is."""
    [own] = targets.queues_by_id(tx, {queue}).values()
    return bool(suppressions.among(tx, {(own.namespace, key_of(address))}))


def _mail(body: dict[str, Any], options: dict[str, Any], sender: Any, recipient: Any) -> Mail:
    """The subject: what the message's metadata says, else the set's label."""
    metadata = body["metadata"] if isinstance(body["metadata"], dict) else {}
    subjects = (metadata.get("subject"), options.get("label"), "A message for you")
    subject = next(_one_line(text) for text in subjects if isinstance(text, str) and _one_line(text))
    spoken = metadata.get("voice_speech_url")
    given = (metadata.get("image_url"), *(spoken if isinstance(spoken, list) else [spoken]))
    links = tuple(url for url in given if isinstance(url, str))
    text = "\n\n".join([part for part in (body.get("content"), *links) if part])
    opt_out = options.get("opt_out")
    return Mail(
        sender=sender,
        subject=subject,
        to=(recipient,),
        text=text,
        unsubscribe=(opt_out,) if opt_out else (),
    )


def _one_line(text: str) -> str:
    """What is no text is left out: controls, and halves of characters."""
    seen = "".join(" " if unicodedata.category(letter) in _UNSEEN else letter for letter in text[: 4 * LONGEST_SUBJECT])
    return " ".join(seen.split())[:LONGEST_SUBJECT]
