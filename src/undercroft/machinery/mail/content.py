"""A mail as it is stored, and by what it is told from another. Made before the transaction, which others wait for."""

import asyncio
import hashlib
from typing import NamedTuple

import msgspec

from undercroft.machinery.mail.model import Mail

# Characters and bytes of a mail from which on its content is made in a thread: it takes a millisecond or more.
LARGE = 256 * 2**10

_encode = msgspec.json.encode


class Content(NamedTuple):
    text: str
    """JSON."""
    digest: str
    """SHA-256, in hexadecimal."""


def content_of(mail: Mail) -> Content:
    encoded = _encode(mail)
    return Content(encoded.decode(), hashlib.sha256(encoded).hexdigest())


async def content_at_the_edge(mail: Mail) -> Content:
    """As `content_of`; nobody waits for a large one."""
    return await asyncio.to_thread(content_of, mail) if _size(mail) > LARGE else content_of(mail)


def _size(mail: Mail) -> int:
    return len(mail.text) + len(mail.html or "") + sum(len(one.content) for one in mail.attachments)
