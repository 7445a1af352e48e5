"""What a mail is, what may be asked for, and the rules. Pure: data in, decision out.

Source of the rules: the seed document's POST /systems/emails, the decisions of its contract, RFC 5322 for headers.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgspec

from undercroft.base.clock import END_OF_TIME, SECOND
from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.machinery.mail.addresses import Mailbox, domain_of, key_of, read_mailbox, read_mailboxes
from undercroft.machinery.mail.headers import check_headers, check_line, check_unsubscribe
from undercroft.machinery.mail.plain import is_html, text_of

MOST_RECIPIENTS = 100
MOST_REPLY_TO = 10
LONGEST_SUBJECT = 500
LONGEST_BODY = 2**20
MOST_ATTACHMENTS = 20
MOST_TAGS, LONGEST_TAG = 20, 100
# A send_at this far in the past is sent at once: clocks of clients are not ours (ms).
CLOCK_SKEW = 5 * SECOND


class State(IntEnum):
    """Of a recipient. The numbers stand in the database; the first two wait."""

    QUEUED = 0
    DEFERRED = 1
    """Tried, and to be tried again."""
    SENT = 2
    """The relay has accepted it."""
    CAPTURED = 3
    """Kept here: there is no relay."""
    REFUSED = 4
    """The relay refused it for good."""
    FAILED = 5
    """All attempts are used up."""
    SUPPRESSED = 6
    CANCELLED = 7
    PARTLY = 8
    """Of a mail only: some of its recipients have it, others never will."""


WAITING = (State.QUEUED, State.DEFERRED)
STATES = {state.name.lower(): state for state in State}


class AttachmentIn(msgspec.Struct, frozen=True):
    """`content` is base64; with `content_id` the HTML shows it as <img src="cid:…">."""

    name: str
    content: str
    type: str = "application/octet-stream"
    content_id: str | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail as it is asked for. Addresses are a text, with commas if there are several, or a list."""

    to: str | list[str] | None = None
    subject: str | None = None
    body: str | None = None
    """Text, or HTML if it starts like HTML."""
    text: str | None = None
    html: str | None = None
    cc: str | list[str] | None = None
    bcc: str | list[str] | None = None
    reply_to: str | list[str] | None = None
    sender: str | None = None
    attachments: list[AttachmentIn] = []
    headers: dict[str, str] = {}
    tags: list[str] = []
    unsubscribe: str | list[str] | None = None
    send_at: int | str | None = None


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    type: str
    content: bytes
    content_id: str | None = None


class Mail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail that passed every check."""

    sender: Mailbox
    subject: str
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    send_at: int | None = None


class Recipient(NamedTuple):
    address: str
    kind: str
    """to, cc or bcc"""


class Rules(NamedTuple):
    """What the settings say about mail."""

    sender: str
    """Who mail is from, where it does not say."""
    allowed_senders: tuple[str, ...] = ()
    """Addresses, and domains as @example.com, that `from` may name beside it."""
    most_attached: int = 10 * 2**20
    """Bytes of all attachments together."""


def check_draft(draft: Draft, rules: Rules, now: int) -> Mail:
    """A mail ready to be stored.

    Raises Refusal(INVALID) with the code of the first rule that it breaks, in the order of the fields.
    """
    too_many = invalid("recipients", f"a mail has {MOST_RECIPIENTS} recipients at the most, of to, cc and bcc together")
    to = read_mailboxes("to", draft.to, MOST_RECIPIENTS, too_many)
    if not to:
        raise invalid("address", "to is missing: whom the mail is for, such as ann@example.com")
    cc = read_mailboxes("cc", draft.cc, MOST_RECIPIENTS - len(to), too_many)
    bcc = read_mailboxes("bcc", draft.bcc, MOST_RECIPIENTS - len(to) - len(cc), too_many)
    if draft.subject is None:
        raise invalid("subject", "subject is missing")
    text, html = _bodies(draft)
    return Mail(
        sender=_sender(draft.sender, rules),
        subject=check_line("subject", draft.subject, LONGEST_SUBJECT),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=_reply_to(draft.reply_to),
        text=text,
        html=html,
        attachments=_attachments(draft.attachments, rules.most_attached) if draft.attachments else (),
        headers=check_headers(draft.headers) if draft.headers else (),
        tags=_tags(draft.tags) if draft.tags else (),
        unsubscribe=check_unsubscribe(draft.unsubscribe),
        send_at=None if draft.send_at is None else check_moment(draft.send_at, now),
    )


def recipients_of(mail: Mail) -> list[Recipient]:
    """Each address once, however often it is named."""
    found: dict[str, Recipient] = {}
    for kind, mailboxes in (("to", mail.to), ("cc", mail.cc), ("bcc", mail.bcc)):
        for mailbox in mailboxes:
            found.setdefault(key_of(mailbox.address), Recipient(mailbox.address, kind))
    return list(found.values())


def summary(states: Iterable[State]) -> State:
    """The state of a mail with recipients in these states."""
    every = set(states)
    for waiting in WAITING:
        if waiting in every:
            return waiting
    if len(every) == 1:
        return every.pop()
    if every & {State.SENT, State.CAPTURED}:
        return State.PARTLY
    return next(state for state in (State.REFUSED, State.FAILED, State.CANCELLED, State.SUPPRESSED) if state in every)


def check_moment(written: int | str, now: int) -> int:
    """Milliseconds UTC of a moment to come: a number of seconds or milliseconds, or ISO 8601 (UTC without a zone).

    Raises Refusal(INVALID, "send_at").
    """
    from datetime import UTC, datetime

    try:
        if isinstance(written, str):
            read = datetime.fromisoformat(written.strip())
            moment = round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000)
        else:
            # A number below this is seconds (until the year 5138), from here on milliseconds (since 1973).
            moment = written if written >= 100_000_000_000 else written * 1_000
    except (ValueError, OverflowError):
        raise invalid("send_at", f"send_at is no moment: {str(written)[:50]!r}; write 2030-05-01T09:00:00Z") from None
    if not 0 <= moment <= END_OF_TIME:
        raise invalid("send_at", "send_at is a moment up to the year 9999, in seconds or milliseconds since 1970")
    if moment < now - CLOCK_SKEW:
        raise invalid("send_at", "send_at is in the past; leave it out to send at once")
    return moment


_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


def _bodies(draft: Draft) -> tuple[str, str | None]:
    """The text, and the HTML if there is one. Where only HTML is given, the text is made of it."""
    body, html = draft.body, draft.html
    if body is None and draft.text is None and html is None:
        raise invalid("body", "body is missing: what the mail says; or give text, html or both")
    for name, given in (("body", body), ("text", draft.text), ("html", html)):
        if given is not None and len(given) > LONGEST_BODY:
            raise invalid("body", f"{name} is longer than {LONGEST_BODY} characters; attach it instead")
        if given is not None and _NO_TEXT.search(given):
            raise invalid("body", f"{name} may not hold the NUL character, nor half of a character")
    if body is not None and html is None and is_html(body):
        body, html = None, body
    text = draft.text if draft.text is not None else body
    return text if text is not None else text_of(html or ""), html


def _sender(written: str | None, rules: Rules) -> Mailbox:
    if written is None:
        return read_mailbox("from", rules.sender)
    sender = read_mailbox("from", written)
    allowed = {key_of(one) for one in rules.allowed_senders} | {key_of(read_mailbox("from", rules.sender).address)}
    if key_of(sender.address) not in allowed and "@" + domain_of(sender.address) not in allowed:
        raise Refusal(
            Kind.INVALID,
            "from",
            f"mail may not be sent from {sender.address}; the setting mail_from_allowed lists who may",
        )
    return sender


def _reply_to(written: str | Sequence[str] | None) -> tuple[Mailbox, ...]:
    too_many = invalid("address", f"reply_to takes {MOST_REPLY_TO} addresses at the most")
    return read_mailboxes("reply_to", written, MOST_REPLY_TO, too_many)


_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.IGNORECASE)
_CONTENT_ID = re.compile(r"[A-Za-z0-9._@+-]{1,200}")


def _attachments(given: list[AttachmentIn], most: int) -> tuple[Attachment, ...]:
    if len(given) > MOST_ATTACHMENTS:
        raise invalid("attachments", f"a mail has {MOST_ATTACHMENTS} attachments at the most")
    if sum(len(one.content) for one in given) > most * 4 / 3 + 4 * len(given):
        raise _too_large(most)
    checked = tuple(_attachment(one) for one in given)
    if sum(len(one.content) for one in checked) > most:
        raise _too_large(most)
    return checked


def _attachment(given: AttachmentIn) -> Attachment:
    name = check_line("attachments", given.name, 255)
    if not name or "/" in name or "\\" in name:
        raise invalid("attachments", "an attachment has a name without slashes, such as report.pdf")
    kind = given.type.lower()
    if not _TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        raise invalid("attachments", f"{name}: type is a media type, such as application/pdf")
    if given.content_id is not None and not _CONTENT_ID.fullmatch(given.content_id):
        raise invalid("attachments", f"{name}: content_id takes letters, digits and . _ @ + -")
    try:
        content = base64.b64decode(given.content, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("attachments", f"{name}: content is not base64") from None
    return Attachment(name, kind, content, given.content_id)


def _too_large(most: int) -> Refusal:
    return invalid("attachments", f"the attachments are larger than {most} bytes together; send a link instead")


def _tags(given: list[str]) -> tuple[str, ...]:
    if len(given) > MOST_TAGS:
        raise invalid("tags", f"a mail has {MOST_TAGS} tags at the most")
    return tuple(check_line("tags", tag, LONGEST_TAG) for tag in given)
