"""A real SMTP server on a loopback port, with TLS and AUTH where asked for: keeps every mail, answers as programmed."""

import asyncio
import email
import ssl
import threading
from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.services.ports import free_port
from tests.services.waiting import wait_until

USER, PASSWORD = "user@shop", "p@ss/w:ord"


@dataclass(frozen=True)
class Arrived:
    """A mail that was accepted, or one of which that can't be known. `secure`: it came over TLS."""

    sender: str
    recipient: str
    content: bytes
    secure: bool
    user: str | None
    helo: str

    @property
    def message(self) -> EmailMessage:
        parsed: EmailMessage = email.message_from_bytes(self.content, policy=default)  # type: ignore[assignment]
        return parsed

    @property
    def id(self) -> str:
        return str(self.message["message-id"])


class MailServer:
    """Listens from its making until `stop`; `start` listens again on the same port, with all it kept.

    `answers`: recipient → the answers to the next RCPTs of it; `data_answers` the same to the message. `cut_in_data`:
    so many connections are cut when the message has begun; `cut_after_dot`: when it is complete, and kept.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, smtps: bool = False, login: bool = False) -> None:
        self.port = free_port()
        self.answers: defaultdict[str, deque[str]] = defaultdict(deque)
        self.data_answers: defaultdict[str, deque[str]] = defaultdict(deque)
        self.cut_in_data = 0
        self.cut_after_dot = 0
        self.silent_at = ""
        """MAIL, RCPT or DATA: it says nothing to that, nor to the message that follows on DATA."""
        self.silent_for: set[str] = set()
        """Domains: once told that a mail is for somebody there, it says nothing any more."""
        self.hangs_up_when_reset = False
        self.connections = 0
        self.asked: Counter[str] = Counter()
        """Recipient → how often it was named."""
        self._tls, self._smtps, self._login = tls, smtps, login
        self._arrived: list[Arrived] = []
        self._lock = threading.Lock()
        self._controller: Controller | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        arguments: dict[str, Any] = {"hostname": "127.0.0.1", "port": self.port, "ident": "relay"}
        if self._tls and self._smtps:
            arguments["ssl_context"] = self._tls
        if self._login:
            arguments |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": not self._smtps}
        starttls = self._tls if not self._smtps else None
        self._controller = _Controller(self, starttls, **arguments)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    @property
    def url(self) -> str:
        """Without a login."""
        return f"{'smtps' if self._smtps else 'smtp'}://127.0.0.1:{self.port}"

    @property
    def url_with_login(self) -> str:
        return self.url.replace("://", "://user%40shop:p%40ss%2Fw%3Aord@")

    def arrived(self, recipient: str | None = None) -> list[Arrived]:
        with self._lock:
            return [one for one in self._arrived if recipient in (None, one.recipient)]

    def wait_for(self, count: int, recipient: str | None = None, seconds: float = 20) -> list[Arrived]:
        wait_until(lambda: len(self.arrived(recipient)) >= count, f"{count} mails to {recipient or 'anybody'}", seconds)
        return self.arrived(recipient)

    # What aiosmtpd asks

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.silent_at == "MAIL":
            await asyncio.sleep(3_600)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked[address] += 1
        if self.silent_at == "RCPT" or address.rpartition("@")[2] in self.silent_for:
            await asyncio.sleep(3_600)
        answer = self.answers[address].popleft() if self.answers[address] else "250 2.1.5 Ok"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipient = envelope.rcpt_tos[0]
        if self.silent_at == "DATA":
            await asyncio.sleep(3_600)
        answer = self.data_answers[recipient].popleft() if self.data_answers[recipient] else "250 2.0.0 queued as 7E"
        if answer.startswith("250"):
            user = session.auth_data.decode() if session.auth_data else None
            assert isinstance(envelope.content, bytes) and envelope.mail_from is not None
            one = Arrived(
                envelope.mail_from,
                recipient,
                envelope.content,
                bool(session.ssl) or self._smtps,
                user,
                session.host_name or "",
            )
            with self._lock:
                self._arrived.append(one)
        if self.cut_after_dot:
            self.cut_after_dot -= 1
            assert server.transport is not None
            server.transport.abort()
        return answer


class _Smtp(SMTP):
    async def smtp_DATA(self, arg: str) -> None:
        relay: MailServer = self.event_handler
        if relay.cut_in_data:
            relay.cut_in_data -= 1
            await self.push("354 go on")
            await self._reader.read(10)
            assert self.transport is not None
            self.transport.abort()
            return
        await super().smtp_DATA(arg)

    async def smtp_RSET(self, arg: str) -> None:
        if self.event_handler.hangs_up_when_reset:
            assert self.transport is not None
            self.transport.abort()
            return
        await super().smtp_RSET(arg)

    def connection_made(self, transport: Any) -> None:
        self.event_handler.connections += 1
        super().connection_made(transport)


class _Controller(Controller):
    def __init__(self, relay: MailServer, starttls: ssl.SSLContext | None, **arguments: Any) -> None:
        self._starttls = starttls
        super().__init__(relay, **arguments)

    def factory(self) -> SMTP:
        return _Smtp(self.handler, tls_context=self._starttls, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        with suppress(OSError):  # it only looks whether somebody listens, and a TLS of its own may not know our CA
            super()._trigger_server()


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object) -> AuthResult:
    good = isinstance(login, LoginPassword) and (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good, auth_data=USER.encode() if good else None)
