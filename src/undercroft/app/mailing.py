"""From the settings to what sends mail: the transport, what makes the messages, the rules."""

from typing import NamedTuple

import structlog

from undercroft.app.permissions import HOUSE
from undercroft.app.settings import Settings
from undercroft.base.clock import SECOND, Clock
from undercroft.database import Database, Transaction
from undercroft.families import mail
from undercroft.machinery.deliveries.smtp import (
    CONNECTIONS,
    CaptureTransport,
    SmtpTransport,
    read_relay,
    share_of_one,
)
from undercroft.machinery.identity import resets
from undercroft.machinery.mail.actions import enqueue
from undercroft.machinery.mail.model import Draft, Rules, check_draft
from undercroft.machinery.mail.schedule import Terms
from undercroft.machinery.mail.sending import Outgoing, Sign
from undercroft.machinery.mail.signing import signer
from undercroft.machinery.mail.upkeep import MailUpkeep

log = structlog.get_logger()

NOBODY = "undercroft@localhost"
"""Who captured mail is from where no setting says so."""


UNNAMED = ""
"""The namespace of the house's own mail."""


class Mailing(NamedTuple):
    transport: SmtpTransport | CaptureTransport
    outgoing: Outgoing
    sending: mail.Sending
    upkeep: MailUpkeep
    clock: Clock

    def send(self, tx: Transaction, to: str, subject: str, text: str) -> None:
        """A mail of the house's own, such as a token for a new password.

        It is kept in a namespace that can't be named: who may read mail does not thereby become everybody.
        """
        now = self.clock()
        mail = check_draft(Draft(to=to, subject=subject, text=text), self.sending.rules, now)
        enqueue(tx, UNNAMED, HOUSE, mail, now, self.sending.terms)


def mailing(settings: Settings, database: Database, clock: Clock) -> Mailing:
    """Raises OSError for certificates that can't be read; what else is wrong, `check` has told."""
    outgoing = Outgoing(database, _signer(settings))
    return Mailing(
        _transport(settings, clock, outgoing),
        outgoing,
        mail.Sending(
            Rules(settings.mail_from or NOBODY, settings.mail_from_allowed, settings.mail_max_attachments),
            capturing=not settings.smtp_url,
            wait=settings.mail_wait,
            rate=settings.mail_rate,
            terms=_terms(settings),
        ),
        MailUpkeep(database, int(settings.mail_keep * SECOND), UNNAMED, resets.LASTS),
        clock,
    )


def _transport(settings: Settings, clock: Clock, outgoing: Outgoing) -> SmtpTransport | CaptureTransport:
    if not settings.smtp_url:
        log.warning("mail_captured", reason="no smtp_url is set: mail is kept and shown, and goes nowhere")
        return CaptureTransport(clock, outgoing.check)
    relay = read_relay(settings.smtp_url.reveal())
    log.info("mail_relay", relay=relay.shown(), sender=settings.mail_from, signed=bool(settings.dkim_key))
    return SmtpTransport(clock, relay, outgoing.envelope, house=UNNAMED)


def at_once(settings: Settings) -> int:
    """So many e-mails of one namespace are handed over at the same time, where no other has any."""
    return share_of_one(read_relay(settings.smtp_url.reveal()).connections if settings.smtp_url else CONNECTIONS)


def _terms(settings: Settings) -> Terms:
    return Terms(settings.mail_retries, at_once(settings), captures=not settings.smtp_url)


def _signer(settings: Settings) -> Sign | None:
    if not settings.dkim_key:
        return None
    return signer(settings.dkim_selector, settings.dkim_domain, settings.dkim_key.reveal())
