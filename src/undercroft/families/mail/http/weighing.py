"""What a large request holds, seen before it is taken apart: a million entries take seconds to decode. Pure."""

from collections.abc import Sequence

import msgspec

from undercroft.base.refusals import invalid
from undercroft.families.mail.http.reading import decode
from undercroft.families.mail.model import EmailIn
from undercroft.machinery.mail.plain import MOST_TAGS

# Bytes of a request: below this nothing takes long, whatever is in it.
LIGHT = 128 * 1_024
# Bytes of a field of addresses, links, headers or tags; what is allowed fits in, escaped as it may be.
MOST_OF_FIELD = 512 * 1_024
# What looks like an entry; far more than is allowed, for it may as well stand within a text.
MOST_ATTACHED, MOST_NAMED = 10_000, 100_000
# Of the HTML that texts are made of, over a list: about a second's worth, 2,000 in each of 500 e-mails.
MOST_TAGS_OF_LIST = 1_000_000
# Characters of HTML without a text, and of attachments in base64: what is longer is checked in a thread.
_LONG_HTML, _LONG_FILES = 4_096, 512 * 1_024


class _Parts(msgspec.Struct):
    """The fields with entries, as they are written."""

    to: msgspec.Raw = msgspec.Raw()
    address: msgspec.Raw = msgspec.Raw()
    cc: msgspec.Raw = msgspec.Raw()
    bcc: msgspec.Raw = msgspec.Raw()
    reply_to: msgspec.Raw = msgspec.Raw()
    unsubscribe: msgspec.Raw = msgspec.Raw()
    headers: msgspec.Raw = msgspec.Raw()
    tags: msgspec.Raw = msgspec.Raw()
    attachments: msgspec.Raw = msgspec.Raw()
    variables: msgspec.Raw = msgspec.Raw()


_parts = msgspec.json.Decoder(_Parts)
_CODES = {"to": "recipients", "cc": "recipients", "bcc": "recipients", "address": "recipients", "reply_to": "address"}


def weigh(body: bytes) -> None:
    """Raises Refusal(INVALID) for one e-mail with far more entries than it may have."""
    if len(body) <= LIGHT:
        return
    parts = decode(_parts, body)
    for field in ("to", "address", "cc", "bcc", "reply_to", "unsubscribe", "headers", "tags"):
        if len(memoryview(getattr(parts, field))) > MOST_OF_FIELD:
            raise invalid(_CODES.get(field, field), f"{field} is longer than {MOST_OF_FIELD} bytes")
    if bytes(parts.attachments).count(b"{") > MOST_ATTACHED:
        raise invalid("attachments", "these are far too many attachments")
    if bytes(parts.variables).count(b'"') > 2 * MOST_NAMED:
        raise invalid("template", "these are far too many variables")


def weigh_pages(emails: Sequence[EmailIn]) -> None:
    """Raises Refusal(INVALID, "list") where it would take too long to make texts of the HTML of all these."""
    pages = (email.html or email.body or "" for email in emails if email.text is None)
    if sum(min(page.count("<"), MOST_TAGS) for page in pages) > MOST_TAGS_OF_LIST:
        raise invalid("list", "the HTML of this list is too much to make texts of; give each a text, or send fewer")


def is_long(email: EmailIn) -> bool:
    """Whether checking it takes so long that others would notice."""
    page = 0 if email.text is not None else len(email.html or email.body or "")
    return page > _LONG_HTML or sum(len(one.content) for one in email.attachments[:100]) > _LONG_FILES
