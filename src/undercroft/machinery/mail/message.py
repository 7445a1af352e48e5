"""A mail as the bytes that a relay is given. Pure, and the same bytes each time: a retry is no other message."""

import hashlib
import re
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address, AddressHeader, MessageIDHeader, UnstructuredHeader
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

from undercroft.machinery.mail.addresses import Mailbox, domain_of
from undercroft.machinery.mail.model import Attachment, Mail

LONGEST_LINE = 78


class _Policy(EmailPolicy):
    """Headers are folded by us, for the standard library's way loses mails.

    It encodes an ASCII word that does not fit into a line, and nobody can read a link or an id then; that may as well
    stand on a long line of its own, 998 are allowed (RFC 5322, 2.1.1). And of long names that are not ASCII it encodes
    the comma behind the address too, and the next recipient is none any more.
    """

    def fold(self, name: str, value: Any) -> str:
        folded = _fold(name, value)
        return super().fold(name, value) if folded is None else folded

    def fold_binary(self, name: str, value: Any) -> bytes:
        folded = _fold(name, value)
        return super().fold_binary(name, value) if folded is None else folded.encode("ascii")


_POLICY = _Policy(linesep="\r\n", max_line_length=LONGEST_LINE, cte_type="7bit")


def build(mail: Mail, id: str, date: int) -> bytes:
    """`id`: the mail's, of which its Message-ID is made; `date`: the moment it bears, in milliseconds UTC."""
    message = EmailMessage(_POLICY)
    message["From"] = _address(mail.sender)
    message["To"] = [_address(one) for one in mail.to]
    if mail.cc:
        message["Cc"] = [_address(one) for one in mail.cc]
    if mail.reply_to:
        message["Reply-To"] = [_address(one) for one in mail.reply_to]
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(date / 1_000, UTC))
    message["Message-ID"] = message_id(mail, id)
    _add_unsubscribe(message, mail.unsubscribe)
    for name, value in mail.headers:
        message[name] = value
    _add_content(message, mail)
    _set_boundaries(message, id)
    return message.as_bytes()


def message_id(mail: Mail, id: str) -> str:
    return f"<{id}@{domain_of(mail.sender.address)}>"


def _add_unsubscribe(message: EmailMessage, links: tuple[str, ...]) -> None:
    if not links:
        return
    message["List-Unsubscribe"] = ", ".join(f"<{link}>" for link in links)
    if any(link.startswith("https:") for link in links):
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _add_content(message: EmailMessage, mail: Mail) -> None:
    message.set_content(mail.text)
    shown_within = [one for one in mail.attachments if one.content_id and mail.html is not None]
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
        html = message.get_payload()[-1]  # type: ignore[index]
        for one in shown_within:
            _attach(html.add_related, one, disposition="inline", cid=f"<{one.content_id}>")  # type: ignore[union-attr]
    for one in mail.attachments:
        if one not in shown_within:
            _attach(message.add_attachment, one)


def _attach(add: Any, one: Attachment, **more: str) -> None:
    maintype, _, subtype = one.type.partition("/")
    add(one.content, maintype=maintype, subtype=subtype, filename=one.name, **more)


def _set_boundaries(message: EmailMessage, id: str) -> None:
    """The standard library draws lots for them; ours are made of the id, so that the bytes are the same each time."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        assert isinstance(part, MIMEPart)
        part.set_boundary("=_" + hashlib.sha256(f"{id} {number}".encode()).hexdigest()[:40])


def _address(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, addr_spec=mailbox.address)


def _fold(name: str, value: Any) -> str | None:
    """None for what the standard library may fold itself: the headers of parts."""
    if isinstance(value, AddressHeader):
        return f"{name}: " + ",\r\n ".join(_mailbox(name, one) for one in value.addresses) + "\r\n"
    if not isinstance(value, UnstructuredHeader | MessageIDHeader):
        return None
    text = str(value)
    return _fold_plain(name, text) if text.isascii() else f"{name}: {_encoded(name, text)}\r\n"


def _mailbox(name: str, one: Address) -> str:
    if not one.display_name.isascii():
        return f"{_encoded(name, one.display_name)} <{one.addr_spec}>"
    return str(one)


def _encoded(name: str, text: str) -> str:
    return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")


def _fold_plain(name: str, text: str) -> str:
    lines = [f"{name}:"]
    for word in re.findall(r"\s*\S+", " " + text):
        if len(lines[-1]) + len(word) > LONGEST_LINE and len(lines[-1]) > len(name) + 1:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines) + "\r\n"
