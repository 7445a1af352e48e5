"""`mail`: one e-mail per message, handed to the relay that the house's mail goes by."""

import base64
import hashlib
import unicodedata
from typing import Any

import msgspec

from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.families.messaging.lookup import Lookup
from undercroft.families.messaging.model import EMAIL
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target
from undercroft.machinery.deliveries.smtp import CaptureTransport, Envelope, NothingToSend, SmtpTransport
from undercroft.machinery.mail import suppressions
from undercroft.machinery.mail.addresses import key_of, read_mailbox
from undercroft.machinery.mail.model import Mail
from undercroft.machinery.mail.sending import SUPPRESSED, Outgoing

TRANSPORT = "messaging mail"
ADDRESS_KIND = EMAIL
LONGEST_SUBJECT = 200
# Control characters, line and paragraph ends, halves of characters.
_UNSEEN = ("Cc", "Zl", "Zp", "Cs")


def target(tx: Transaction, namespace: str, at_once: int, now: int) -> int:
    """Of each namespace its own, as the mail family has them: nobody waits behind another's."""
    nothing, at_most = msgspec.Raw(b"{}"), LONGEST_TIMEOUT  # the transport knows when to give a relay up
    return own_target(tx, "mail", TRANSPORT, nothing, now, namespace=namespace, concurrency=at_once, timeout=at_most)


class MailTransport:
    """Mails made of messages, by the connections that all mail of the house goes by."""

    def __init__(
        self,
        database: Database,
        relay: SmtpTransport | CaptureTransport,
        outgoing: Outgoing,
        sender: str,
        lookup: Lookup | None,
    ) -> None:
        self._database = database
        self._outgoing = outgoing
        self._sender = sender
        self._lookup = lookup
        self._relay = relay.beside(self._envelope)

    def host(self, target: Target) -> str | None:
        return self._relay.host(target)

    async def send(self, target: Target, delivery: Delivery, webhook_id: str, headers: dict[str, str]) -> Outcome:
        found = delivery if self._lookup is None else await self._lookup.addressed(delivery, EMAIL)
        if isinstance(found, Outcome):
            return found
        return await self._relay.send(target, found, webhook_id, headers)

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
            message = await self._outgoing.made_of(mail, id, delivery.created_at)
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
