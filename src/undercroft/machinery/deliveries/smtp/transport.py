"""Deliveries over SMTP: one message to one recipient, one outcome."""

import asyncio
import copy
import errno
import time
from typing import NamedTuple, Self

import aiosmtplib
from aiosmtplib import SMTP

from undercroft.base.clock import SECOND, Clock
from undercroft.machinery.deliveries.model import Delivery, NotSent, Outcome, Result, Target
from undercroft.machinery.deliveries.smtp.envelope import Envelope, EnvelopeOf, envelope_or_end
from undercroft.machinery.deliveries.smtp.pool import Connection, NoConnection, Pool, printable
from undercroft.machinery.deliveries.smtp.relay import Relay
from undercroft.machinery.deliveries.smtp.room import Room

# Faults of this machine, which say nothing about the relay.
_OF_THIS_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
# A refusal that is about our login, and not about the message: it goes out once that is mended.
_ABOUT_LOGIN = {530, 534, 535, 538}
_CLOSING = 421
_COMMANDS = {"connection": "at all", "sender": "MAIL FROM", "recipient": "RCPT TO", "message": "DATA"}
_MAYBE_TAKEN = (
    "while the message was being handed over: the relay may have taken it, and it then arrives twice, both times with"
    " the same Message-ID"
)


class Limits(NamedTuple):
    """Seconds until a relay that says nothing is given up: long enough for one that looks closely, short enough that a
    few that hang are soon out of the others' way."""

    connect: float = 15.0
    """For a connection with its greeting, TLS and login."""
    answer: float = 15.0
    """For its word on the sender, and on the recipient."""
    message: float = 50.0
    """For its word on the message, counted from its beginning: relays look at what is in it before they answer."""
    reset: float = 5.0


LIMITS = Limits()


class _Stage:
    """How far a conversation has come: what a refusal is about, what a cut means, how long is waited."""

    def __init__(self, until: asyncio.Timeout, seconds: float) -> None:
        self.about = "connection"
        self.seconds = seconds
        self._until = until
        self._end = asyncio.get_running_loop().time() + seconds

    def begin(self, about: str, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self.about, self.seconds = about, round(min(seconds, self._end - now), 1)
        self._until.reschedule(min(now + seconds, self._end))

    def lasts(self, seconds: float) -> None:
        """For so long still, whatever the time: what is known of the mail must not be lost by it."""
        self._until.reschedule(asyncio.get_running_loop().time() + seconds)


class SmtpTransport:
    def __init__(
        self,
        clock: Clock,
        relay: Relay,
        envelope_of: EnvelopeOf,
        *,
        house: str | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """`house`: the namespace whose mail finds a connection at any time. Raises OSError for certificates that can't
        be read."""
        self._clock = clock
        self._envelope_of = envelope_of
        self._limits = limits
        self._house = house
        self._room = Room(relay.connections, house)
        self._pool = Pool(relay, limits.connect)

    def beside(self, envelope_of: EnvelopeOf) -> Self:
        """The same relay, with its connections and turns, for deliveries of another make. Whoever tidies and closes
        this one has done so for that one."""
        other = copy.copy(self)
        other._envelope_of = envelope_of
        return other

    def host(self, target: Target) -> str | None:
        """None for the house's own mail, which waits behind nobody's."""
        return None if target.namespace == self._house else "the relay"

    async def send(
        self, target: Target, delivery: Delivery, _webhook_id: str, _family_headers: dict[str, str]
    ) -> Outcome:
        """One attempt, when it is the turn of the target's namespace.

        What the relay does is an outcome; raises NotSent for what this machine can't do, NoTurn where its claim would
        not last for the call any more.
        """
        patience = (delivery.due_at - self._clock()) / SECOND - target.settings.timeout
        async with self._room.turn(target.namespace, patience):
            return await self._send(target, delivery)

    async def tidy(self, _now: int) -> bool:
        """A step: hang up on connections that nobody has used for a while."""
        self._pool.close_idle()
        return False

    async def close(self) -> None:
        self._pool.close_idle(older_than=0)

    async def _send(self, target: Target, delivery: Delivery) -> Outcome:
        started_at = self._clock()
        envelope = await envelope_or_end(self._envelope_of, delivery, started_at)
        if isinstance(envelope, Outcome):
            return envelope
        start = time.monotonic()
        result, status, error, reply = await self._attempt(envelope, target.settings.timeout)
        return Outcome(started_at, round((time.monotonic() - start) * 1_000), result, status, error, reply)

    async def _attempt(self, envelope: Envelope, timeout: float) -> tuple[Result, int | None, str | None, str | None]:
        until = asyncio.timeout(timeout)
        stage = _Stage(until, timeout)
        try:
            async with until:
                response = await self._exchange(envelope, stage)
        except NoConnection as failure:
            _raise_if_ours(failure)
            return Result.AGAIN, failure.status, str(failure), None
        except aiosmtplib.SMTPResponseException as refusal:
            return _judge(refusal, stage)
        except TimeoutError:
            what = f"the relay did not answer {_COMMANDS[stage.about]} within {stage.seconds:g} s"
            return Result.AGAIN, None, _cut(what, stage), None
        except (aiosmtplib.SMTPException, OSError):
            return Result.AGAIN, None, _cut("the connection was cut", stage), None
        return Result.DONE, response.code, None, printable(f"{response.code} {response.message}")

    async def _exchange(self, envelope: Envelope, stage: _Stage) -> aiosmtplib.SMTPResponse:
        async with self._pool.connection() as connection:
            try:
                await self._begin(connection, envelope, stage)
                stage.begin("recipient", self._limits.answer)
                await connection.client.rcpt(envelope.recipient)
                stage.begin("message", self._limits.message)
                return await _hand_over(connection.client, envelope.message)
            except aiosmtplib.SMTPResponseException as refusal:
                if refusal.code == _CLOSING or refusal.code < 400:
                    raise
                stage.lasts(2 * self._limits.reset)
                await self._reset(connection.client)
                refused = refusal
        raise refused

    async def _begin(self, connection: Connection, envelope: Envelope, stage: _Stage) -> None:
        """MAIL FROM; over a new connection where the relay has closed the kept one since it was last used."""
        stage.begin("sender", self._limits.answer)
        try:
            await _mail_from(connection.client, envelope)
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError, aiosmtplib.SMTPSenderRefused) as error:
            if not connection.kept or (isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code != _CLOSING):
                raise
            connection.client.close()
            stage.begin("connection", 2 * self._limits.connect)
            connection.client, connection.messages = await self._pool.fresh(), 0
            stage.begin("sender", self._limits.answer)
            await _mail_from(connection.client, envelope)

    async def _reset(self, client: SMTP) -> None:
        """So that the connection serves the next one. Where the relay hangs up instead, its refusal still stands."""
        try:
            async with asyncio.timeout(self._limits.reset):
                await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            client.close()


async def _mail_from(client: SMTP, envelope: Envelope) -> None:
    options = [f"SIZE={len(envelope.message)}"] if client.supports_extension("size") else []
    await client.mail(envelope.sender, options=options)


async def _hand_over(client: SMTP, message: bytes) -> aiosmtplib.SMTPResponse:
    try:
        return await client.data(message)
    except aiosmtplib.SMTPDataError as answer:
        if 200 <= answer.code < 300:  # the library takes 250 alone
            return aiosmtplib.SMTPResponse(answer.code, answer.message)
        raise


def _judge(
    refusal: aiosmtplib.SMTPResponseException, stage: _Stage
) -> tuple[Result, int | None, str | None, str | None]:
    words = printable(f"{refusal.code} {refusal.message}")
    if refusal.code in _ABOUT_LOGIN:
        return Result.AGAIN, refusal.code, f"the relay wants another login: {words}", words
    if 500 <= refusal.code < 600:
        return Result.HOPELESS, refusal.code, f"the relay refused the {stage.about}: {words}", words
    if 400 <= refusal.code < 500:
        return Result.AGAIN, refusal.code, f"the relay put the {stage.about} off: {words}", words
    return Result.AGAIN, None, _cut(f"the relay answered what is no SMTP: {words}", stage), words


def _cut(what: str, stage: _Stage) -> str:
    return f"{what} {_MAYBE_TAKEN}" if stage.about == "message" else f"{what} before the message was sent"


def _raise_if_ours(failure: NoConnection) -> None:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _OF_THIS_MACHINE:
            raise NotSent(f"this machine has no more of what a connection takes: {cause}") from failure
        cause = cause.__cause__
