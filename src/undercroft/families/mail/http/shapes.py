"""What mail answers, as types: the wire format that OpenAPI describes."""

from typing import Literal

import msgspec

StateWord = Literal["queued", "deferred", "sent", "captured", "refused", "failed", "suppressed", "cancelled", "partly"]


class Problem(msgspec.Struct):
    error: str
    """For people; of a refused e-mail, the relay's words."""
    code: str
    """For programs: M001 and so on."""


class Said(msgspec.Struct, omit_defaults=True):
    message: str
    refused: dict[str, str] = {}
    """Address → the relay's words, where it took others."""
    id: str | None = None
    """Where `details` asked for it."""


class Queued(msgspec.Struct):
    id: str
    message: str


class ListSaid(msgspec.Struct):
    message: str
    emails: list[Queued]


class ListedEmail(msgspec.Struct, rename={"sender": "from"}):
    id: str
    state: StateWord
    sender: str
    to: list[str]
    """Everybody it goes to."""
    subject: str
    created_at: int
    """Milliseconds UTC."""
    send_at: int | None


class EmailList(msgspec.Struct):
    emails: list[ListedEmail]
    cursor: str | None


class RecipientOut(msgspec.Struct):
    address: str
    kind: str
    """to, cc or bcc"""
    state: StateWord
    reply: str | None
    """The relay's words, or why it never went there."""
    settled_at: int | None
    attempts: int
    next_attempt: int | None


class AttachmentOut(msgspec.Struct):
    name: str
    type: str
    size: int
    content_id: str | None


class EmailOut(msgspec.Struct, rename={"sender": "from"}):
    id: str
    state: StateWord
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str
    text: str
    html: str | None
    headers: dict[str, str]
    tags: list[str]
    unsubscribe: list[str]
    attachments: list[AttachmentOut]
    message_id: str
    created_at: int
    send_at: int | None
    owner: str
    """Who sent it."""
    namespace: str
    recipients: list[RecipientOut]


class TemplateOut(msgspec.Struct):
    name: str
    subject: str
    text: str | None
    html: str | None
    variables: list[str]
    """The names of its blanks."""
    changed_at: int


class TemplateList(msgspec.Struct):
    templates: list[TemplateOut]
    cursor: str | None


class SuppressionOut(msgspec.Struct):
    address: str
    reason: str | None
    created_at: int


class SuppressionList(msgspec.Struct):
    suppressions: list[SuppressionOut]
    cursor: str | None


class Done(msgspec.Struct):
    status: Literal["ok"] = "ok"


class WhereQuery(msgspec.Struct, forbid_unknown_fields=True):
    namespace: str | None = None


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    namespace: str | None = None
    limit: int = 100
    cursor: str | None = None


class ListQuery(msgspec.Struct, forbid_unknown_fields=True):
    namespace: str | None = None
    state: StateWord | None = None
    to: str | None = None
    """An address."""
    limit: int = 100
    cursor: str | None = None
