"""From a delivery to what a relay is given: the mail's bytes, made once and kept for its other recipients."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from undercroft.database import Database, Transaction
from undercroft.machinery.deliveries.model import Delivery
from undercroft.machinery.deliveries.smtp import CAPTURED, Envelope, NothingToSend
from undercroft.machinery.mail import store
from undercroft.machinery.mail.addresses import key_of
from undercroft.machinery.mail.message import build
from undercroft.machinery.mail.model import Mail

SUPPRESSED = "no mail goes to this address: it is on the suppression list"
FORGOTTEN = "the mail is no longer stored"
# Bytes of messages that are kept for their other recipients.
MOST_KEPT = 32 * 2**20

Sign = Callable[[bytes], bytes]
"""From a message to the same message with a signature on top."""


class Addressed(msgspec.Struct, frozen=True):
    """The body of a delivery."""

    mail: str
    recipient: str


_addressed = msgspec.json.Decoder(Addressed)


class Outgoing:
    """`envelope` is what the SMTP transport asks for each delivery."""

    def __init__(self, database: Database, sign: Sign | None = None, most_kept: int = MOST_KEPT) -> None:
        self._database = database
        self._sign = sign
        self._most = most_kept
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        """Mail → its sender and its bytes, the last used last."""
        self._bytes = 0

    async def envelope(self, delivery: Delivery) -> Envelope:
        """Raises NothingToSend where the mail is gone, or its recipient was suppressed since."""
        addressed = await self.check(delivery)
        sender, message = await self._message(addressed.mail)
        return Envelope(sender, addressed.recipient, message)

    async def check(self, delivery: Delivery) -> Addressed:
        """Raises NothingToSend where its recipient was suppressed since it was ordered."""
        addressed = _addressed.decode(delivery.body)
        if await self._database.read(_is_suppressed, addressed.mail, addressed.recipient):
            raise NothingToSend(SUPPRESSED)
        return addressed

    async def _message(self, id: str) -> tuple[str, bytes]:
        kept = self._kept.get(id)
        if kept is not None:
            self._kept.move_to_end(id)
            return kept
        found = await self._database.read(store.find, id)
        if found is None:
            raise NothingToSend(FORGOTTEN)
        made = (found[1].sender.address, await self.message_of(*found))
        self._keep(id, made)
        return made

    async def message_of(self, kept: store.Kept, mail: Mail) -> bytes:
        """As the relay gets it. In a thread: with attachments it takes a while, and others should not wait for it."""
        return await asyncio.to_thread(self._build, mail, kept.id, mail.send_at or kept.created_at)

    def _build(self, mail: Mail, id: str, date: int) -> bytes:
        message = build(mail, id, date)
        return self._sign(message) if self._sign else message

    def _keep(self, id: str, made: tuple[str, bytes]) -> None:
        if len(made[1]) > self._most // 2 or id in self._kept:
            return
        self._kept[id] = made
        self._bytes += len(made[1])
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1][1])


def _is_suppressed(tx: Transaction, mail: str, address: str) -> bool:
    row = tx.one(
        "SELECT 1 FROM mail_suppressions s JOIN mails m ON m.namespace = s.namespace"
        " WHERE m.id = :mail AND s.address = :address",
        mail=mail,
        address=key_of(address),
    )
    return row is not None


__all__ = ["CAPTURED", "SUPPRESSED", "Addressed", "Outgoing", "Sign"]
