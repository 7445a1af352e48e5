"""From a delivery to what a relay is given: the mail's bytes, made once and kept for its other recipients."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

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
# Messages made at the same time: making one takes several times its size.
MOST_AT_ONCE = 2

Sign = Callable[[bytes], bytes]
"""From a message to the same message with a signature on top."""


class Addressed(msgspec.Struct, frozen=True):
    """The body of a delivery."""

    mail: str
    recipient: str


_addressed = msgspec.json.Decoder(Addressed)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Made:
    """A message as every recipient of the mail gets it. It is not made again while anybody holds it."""

    sender: str
    message: bytes


@dataclass(frozen=True, slots=True)
class _Filled(Envelope):
    made: Made


class Outgoing:
    """`envelope` is what the SMTP transport asks for each delivery."""

    def __init__(self, database: Database, sign: Sign | None = None, most_kept: int = MOST_KEPT) -> None:
        self._database = database
        self._sign = sign
        self._most = most_kept
        self._kept: OrderedDict[str, Made] = OrderedDict()
        """By mail, the last used last."""
        self._bytes = 0
        self._in_use: WeakValueDictionary[str, Made] = WeakValueDictionary()
        self._making: dict[str, asyncio.Task[Made]] = {}
        self._may_make = asyncio.Semaphore(MOST_AT_ONCE)

    async def envelope(self, delivery: Delivery) -> Envelope:
        """Raises NothingToSend where the mail is gone, or its recipient was suppressed since."""
        addressed = await self.check(delivery)
        made = await self._made(addressed.mail)
        return _Filled(made.sender, addressed.recipient, made.message, made)

    async def check(self, delivery: Delivery) -> Addressed:
        """Raises NothingToSend where its recipient was suppressed since it was ordered."""
        addressed = _addressed.decode(delivery.body)
        if await self._database.read(_is_suppressed, addressed.mail, addressed.recipient):
            raise NothingToSend(SUPPRESSED)
        return addressed

    async def message_of(self, kept: store.Kept, mail: Mail) -> bytes:
        """As the relay gets it."""
        return await self.made_of(mail, kept.id, mail.send_at or kept.created_at)

    async def made_of(self, mail: Mail, id: str, written_at: int) -> bytes:
        """Of a mail that is kept or of none: its bytes, signed where the house signs. In a thread: with attachments it
        takes a while, and others should not wait for it. Raises Refusal for what can't be written."""
        async with self._may_make:
            return await asyncio.to_thread(self._build, mail, id, written_at)

    async def _made(self, id: str) -> Made:
        """Made once, however many senders ask for it at the same moment; who gives up takes it from no other."""
        if id in self._kept:
            self._kept.move_to_end(id)
        made = self._in_use.get(id)
        if made is not None:
            return made
        making = self._making.get(id)
        if making is None:
            making = self._making[id] = asyncio.create_task(self._make(id))
            making.add_done_callback(lambda done: self._end(id, done))
        return await asyncio.shield(making)

    async def _make(self, id: str) -> Made:
        async with self._may_make:
            found = await self._database.read(store.find, id)
            if found is None:
                raise NothingToSend(FORGOTTEN)
            kept, mail = found
            written_at = mail.send_at or kept.created_at
            made = Made(mail.sender.address, await asyncio.to_thread(self._build, mail, id, written_at))
        self._in_use[id] = made
        self._keep(id, made)
        return made

    def _end(self, id: str, done: "asyncio.Task[Made]") -> None:
        del self._making[id]
        if not done.cancelled():
            done.exception()  # whoever waits for it hears of it; if nobody does any more, it is no news

    def _build(self, mail: Mail, id: str, written_at: int) -> bytes:
        message = build(mail, id, written_at)
        return self._sign(message) if self._sign else message

    def _keep(self, id: str, made: Made) -> None:
        if len(made.message) > self._most // 2 or id in self._kept:
            return
        self._kept[id] = made
        self._bytes += len(made.message)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1].message)


def _is_suppressed(tx: Transaction, mail: str, address: str) -> bool:
    row = tx.one(
        "SELECT 1 FROM mail_suppressions s JOIN mails m ON m.namespace = s.namespace"
        " WHERE m.id = :mail AND s.address = :address",
        mail=mail,
        address=key_of(address),
    )
    return row is not None


__all__ = ["CAPTURED", "SUPPRESSED", "Addressed", "Outgoing", "Sign"]
