"""Deliveries over HTTP: one request, one outcome. Redirects are never followed."""

import errno
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from undercroft.base.clock import Clock
from undercroft.machinery.deliveries.model import Delivery, NotSent, Outcome, Result, Target
from undercroft.machinery.deliveries.webhook import request
from undercroft.machinery.deliveries.webhook.connection import Answer, NoAnswer
from undercroft.machinery.deliveries.webhook.guard import FOR_ALL, AddressRefused
from undercroft.machinery.deliveries.webhook.pool import Pool

# Faults of this machine, which say nothing about the receiver.
_OF_THIS_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
_MAY_ASK_FOR_TIME = (429, 503)


class WebhookTransport:
    def __init__(self, clock: Clock, *, allow_private: bool, setting: str = FOR_ALL) -> None:
        """`setting`: the one by which `allow_private` is chosen."""
        self._clock = clock
        self._allow_private = allow_private
        self._pool = Pool(allow_private=allow_private, setting=setting)
        self._beside: list[WebhookTransport] = []

    def beside(self, *, allow_private: bool, setting: str) -> "WebhookTransport":
        """Another one, for receivers that the settings name: with a switch and connections of its own, which are hung
        up on with these."""
        other = WebhookTransport(self._clock, allow_private=self._allow_private or allow_private, setting=setting)
        self._beside.append(other)
        return other

    async def send(
        self, target: Target, delivery: Delivery, webhook_id: str, family_headers: dict[str, str]
    ) -> Outcome:
        """One attempt. What the other side does is an outcome; raises NotSent for what this machine can't do."""
        started_at, start = self._clock(), time.monotonic()
        error: str | None = None
        answer: Answer | None = None
        try:
            prepared = request.prepare(target)
            data = request.build(prepared, delivery, webhook_id, started_at, family_headers)
            answer = await self._pool.exchange(prepared.origin, data, target.settings.timeout)
        except NoAnswer as failure:
            error = str(failure)
        except TimeoutError:
            error = f"no answer within {target.settings.timeout:g} s"
        except AddressRefused as refusal:
            error = str(refusal)
        except ssl.SSLError as failure:
            error = f"TLS failed: {failure.reason or failure}"
        except (OSError, UnicodeError) as failure:
            if isinstance(failure, OSError) and failure.errno in _OF_THIS_MACHINE:
                raise NotSent(f"this machine has no more of what a connection takes: {failure}") from failure
            error = f"could not connect: {failure}"
        took_ms = round((time.monotonic() - start) * 1_000)
        if answer is None:
            return Outcome(started_at, took_ms, Result.AGAIN, error=error)
        result, complaint = meaning(answer.status)
        return Outcome(
            started_at,
            took_ms,
            result,
            status=answer.status,
            error=complaint,
            reply=answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd") or None,
            retry_after=_seconds(answer.retry_after, started_at) if answer.status in _MAY_ASK_FOR_TIME else None,
        )

    @staticmethod
    def host(target: Target) -> str:
        """Its name and port."""
        origin = request.prepare(target).origin
        return f"{origin.host}:{origin.port}"

    async def tidy(self, _now: int) -> bool:
        """A step: hang up on connections that nobody has used for a while."""
        for each in (self, *self._beside):
            each._pool.close_idle()
        return False

    def close(self) -> None:
        for each in (self, *self._beside):
            each._pool.close_idle(older_than=0)


def meaning(status: int) -> tuple[Result, str | None]:
    """What a status means for the delivery, and what is wrong with it."""
    if 200 <= status < 300:
        return Result.DONE, None
    if status == 410:
        return Result.GONE, "answered 410: the receiver says that it is gone"
    if 300 <= status < 400:
        return Result.AGAIN, f"answered {status}: redirects are not followed, give the final address instead"
    return Result.AGAIN, None


def _seconds(retry_after: str | None, now: int) -> int | None:
    """Retry-After as seconds from now: a number, or a date. None when it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        in_utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(in_utc.timestamp() - now / 1_000))
    except (ValueError, TypeError, OverflowError):
        return None
