"""Deliveries over SMTP: one message to one recipient, one outcome."""

import asyncio
import errno
import time

import aiosmtplib
from aiosmtplib import SMTP

from undercroft.base.clock import Clock
from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries.model import Delivery, NotSent, Outcome, Result, Target
from undercroft.machinery.deliveries.smtp.envelope import Envelope, EnvelopeOf, NothingToSend
from undercroft.machinery.deliveries.smtp.pool import Connection, NoConnection, Pool, printable
from undercroft.machinery.deliveries.smtp.relay import Relay

# Faults of this machine, which say nothing about the relay.
_OF_THIS_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
# A refusal that is about our login, and not about the message: it goes out once that is mended.
_ABOUT_LOGIN = {530, 534, 535, 538}
_CLOSING = 421
_MAYBE_TAKEN = (
    "while the message was being handed over: the relay may have taken it, and it then arrives twice, both times with"
    " the same Message-ID"
)


class _Stage:
    """How far a conversation has come: what a refusal is about, and what a cut means."""

    def __init__(self) -> None:
        self.about = "sender"


class SmtpTransport:
    def __init__(self, clock: Clock, relay: Relay, envelope_of: EnvelopeOf) -> None:
        """Raises OSError for certificates that can't be read."""
        self._clock = clock
        self._envelope_of = envelope_of
        self._pool = Pool(relay)

    async def send(
        self, target: Target, delivery: Delivery, _webhook_id: str, _family_headers: dict[str, str]
    ) -> Outcome:
        """One attempt. What the relay does is an outcome; raises NotSent for what this machine can't do."""
        started_at = self._clock()
        try:
            envelope = await self._envelope_of(delivery)
        except NothingToSend as nothing:
            return Outcome(started_at, 0, Result.HOPELESS, error=str(nothing))
        except Refusal as refusal:
            raise NotSent(refusal.message) from refusal
        start, stage = time.monotonic(), _Stage()
        result, status, error, reply = await self._attempt(envelope, stage, target.settings.timeout)
        return Outcome(started_at, round((time.monotonic() - start) * 1_000), result, status, error, reply)

    async def tidy(self, _now: int) -> bool:
        """A step: hang up on connections that nobody has used for a while."""
        self._pool.close_idle()
        return False

    async def close(self) -> None:
        self._pool.close_idle(older_than=0)

    async def _attempt(
        self, envelope: Envelope, stage: _Stage, timeout: float
    ) -> tuple[Result, int | None, str | None, str | None]:
        try:
            async with asyncio.timeout(timeout):
                response = await self._exchange(envelope, stage)
        except NoConnection as failure:
            _raise_if_ours(failure)
            return Result.AGAIN, failure.status, str(failure), None
        except aiosmtplib.SMTPResponseException as refusal:
            return _judge(refusal, stage)
        except TimeoutError:
            return Result.AGAIN, None, _cut(f"the relay did not answer within {timeout:g} s", stage), None
        except (aiosmtplib.SMTPException, OSError):
            return Result.AGAIN, None, _cut("the connection was cut", stage), None
        return Result.DONE, response.code, None, printable(f"{response.code} {response.message}")

    async def _exchange(self, envelope: Envelope, stage: _Stage) -> aiosmtplib.SMTPResponse:
        async with self._pool.connection() as connection:
            try:
                await self._begin(connection, envelope, stage)
                stage.about = "recipient"
                await connection.client.rcpt(envelope.recipient)
                stage.about = "message"
                return await _hand_over(connection.client, envelope.message)
            except aiosmtplib.SMTPResponseException as refusal:
                if refusal.code == _CLOSING or refusal.code < 400:
                    raise
                await connection.client.rset()  # so that the connection serves the next one
                refused = refusal
        raise refused

    async def _begin(self, connection: Connection, envelope: Envelope, stage: _Stage) -> None:
        """MAIL FROM; over a new connection where the relay has closed the kept one since it was last used."""
        try:
            await _mail_from(connection.client, envelope)
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError, aiosmtplib.SMTPSenderRefused) as error:
            if not connection.kept or (isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code != _CLOSING):
                raise
            connection.client.close()
            connection.client, connection.messages = await self._pool.fresh(), 0
            await _mail_from(connection.client, envelope)


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
