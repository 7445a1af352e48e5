"""E-mails as the document has them: what a POST says, and what it is answered. Pure.

Source of the rules: the seed document's POST /systems/emails and the decisions of its contract.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.machinery.mail.model import WAITING, Draft, Rules, State
from undercroft.machinery.mail.schedule import Terms
from undercroft.machinery.mail.templates import Filled

FAMILY = "mail"
LONGEST_KEY = 256
MOST_IN_LIST = 500
MOST_VARIABLES = 200
MOST_SUPPRESSED = 500
"""Addresses that are put on the list in one request."""


class EmailIn(Draft, frozen=True, kw_only=True, rename={"sender": "from"}, forbid_unknown_fields=True):
    """An e-mail as it is sent to us."""

    template: str | None = None
    variables: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    idempotency_key: str | None = None
    namespace: str | None = None
    details: bool = False


class TemplateIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: str
    text: str | None = None
    html: str | None = None


class SuppressionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str | None = None


class SuppressionsIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: one, several with commas, or a list."""

    address: str | list[str]
    reason: str | None = None
    namespace: str | None = None


class Sending(NamedTuple):
    """What the settings say about mail."""

    rules: Rules
    capturing: bool
    """There is no relay: what is sent is kept and shown, and goes nowhere."""
    wait: float = 20.0
    """Seconds that a POST waits for the relay's word."""
    rate: int = 0
    """Mails a minute and namespace; 0 for any number."""
    terms: Terms = Terms()


class Answer(NamedTuple):
    status: int
    message: str
    refused: dict[str, str]
    """Address → the relay's words."""


SENT = "Email  successfully sent."  # with the document's two blanks
QUEUED = "Email queued."
CAPTURED = "Email captured."
PARTLY = "Email partly sent."
CANCELLED = "Email cancelled."
FORGOTTEN = "Email had its end before and is no longer stored; it was not sent again."


def answer(recipients: Sequence[tuple[str, State, str | None]]) -> Answer:
    """What a POST is answered when so much is known of its (address, state, the relay's words).

    Accepted for some and refused for others is a 200 of another wording, as for SMTP itself: who takes that for a
    failure and sends it once more to all, sends it twice to some. Raises Refusal(INVALID) where it goes to nobody.
    Of none: what the key of this POST was used for has had its end, and is forgotten.
    """
    if not recipients:
        return Answer(200, FORGOTTEN, {})
    states = {state for _, state, _ in recipients}
    refused = {address: words or "refused" for address, state, words in recipients
               if state in (State.REFUSED, State.FAILED)}  # fmt: skip
    if states & set(WAITING):
        return Answer(202, QUEUED, refused)
    if State.SENT in states:
        return Answer(200, PARTLY if refused else SENT, refused)
    if State.CAPTURED in states:
        return Answer(202, CAPTURED, refused)
    if State.CANCELLED in states:
        return Answer(200, CANCELLED, refused)
    if not refused:
        raise Refusal(Kind.INVALID, "suppressed", "no mail goes to these addresses: they are on the suppression list")
    raise Refusal(Kind.INVALID, "refused", "; ".join(f"{to}: {words}" for to, words in list(refused.items())[:5]))


def check_key(key: str | None) -> str | None:
    if key is not None and (not 0 < len(key) <= LONGEST_KEY or not key.isprintable()):
        raise invalid("key", f"an idempotency key has 1 to {LONGEST_KEY} printable characters")
    return key


def with_template(email: EmailIn, filled: Filled) -> EmailIn:
    """What the e-mail says itself stands; the rest is the template's."""
    return msgspec.structs.replace(
        email,
        subject=filled.subject if email.subject is None else email.subject,
        text=filled.text if email.text is None and email.body is None else email.text,
        html=filled.html if email.html is None and email.body is None else email.html,
    )
