"""A mail as the bytes that a relay is given. Pure, and the same bytes each time: a retry is no other message.

What callers give is literal text. The standard library takes `=?utf-8?q?=0d=0a…?=` for an encoded word (RFC 2047),
decodes it and writes the line break out; so the head is written here, and it writes only what is in the parts.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from undercroft.machinery.mail.addresses import Mailbox, domain_of
from undercroft.machinery.mail.headers import check_written
from undercroft.machinery.mail.model import Attachment, Mail

LONGEST_LINE = 78
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_PLAIN_FILE = re.compile(r"(?!.*=\?)[A-Za-z0-9 !#$&'()+,.;=?@\[\]^_`{}~-]{1,60}")


class _Written(str):
    """The value of a header of a part, as it is to stand there."""


class _Policy(EmailPolicy):
    """Of the headers of the parts; each passes the last gate."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return (name, value) if isinstance(value, _Written) else super().header_store_parse(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        written = f"{name}: {value}\r\n".encode() if isinstance(value, _Written) else super().fold_binary(name, value)
        return check_written(written, [name])


_POLICY = _Policy(linesep="\r\n", max_line_length=LONGEST_LINE, cte_type="7bit")


def build(mail: Mail, id: str, date: int) -> bytes:
    """`id`: the mail's, of which its Message-ID is made; `date`: the moment it bears, in milliseconds UTC.

    Raises Refusal(INVALID, "headers") for what can't be written; nothing that passed the checks is.
    """
    content = EmailMessage(_POLICY)
    _add_content(content, mail)
    _set_boundaries(content, id)
    return head(mail, id, date) + content.as_bytes()


def head(mail: Mail, id: str, date: int) -> bytes:
    """What stands above the headers of the content. Raises Refusal(INVALID, "headers")."""
    fields = [("From", _mailboxes("From", [mail.sender])), ("To", _mailboxes("To", mail.to))]
    if mail.cc:
        fields.append(("Cc", _mailboxes("Cc", mail.cc)))
    if mail.reply_to:
        fields.append(("Reply-To", _mailboxes("Reply-To", mail.reply_to)))
    fields += [
        ("Subject", _text("Subject", mail.subject)),
        ("Date", " " + format_datetime(datetime.fromtimestamp(date / 1_000, UTC))),
        ("Message-ID", " " + message_id(mail, id)),
        *_unsubscribe(mail.unsubscribe),
        *((name, _text(name, value)) for name, value in mail.headers),
    ]
    # A half of a character becomes what is no ASCII, and stops at the gate.
    written = "".join(f"{name}:{value}\r\n" for name, value in fields).encode("utf-8", "surrogatepass")
    return check_written(written, [name for name, _ in fields])


def message_id(mail: Mail, id: str) -> str:
    return f"<{id}@{domain_of(mail.sender.address)}>"


def _unsubscribe(links: tuple[str, ...]) -> list[tuple[str, str]]:
    if not links:
        return []
    fields = [("List-Unsubscribe", _folded("List-Unsubscribe", ", ".join(f"<{link}>" for link in links)))]
    if any(link.startswith("https:") for link in links):
        fields.append(("List-Unsubscribe-Post", " List-Unsubscribe=One-Click"))
    return fields


def _add_content(message: EmailMessage, mail: Mail) -> None:
    message.set_content(mail.text)
    shown_within = [one for one in mail.attachments if one.content_id and mail.html is not None]
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
        html = message.get_payload()[-1]  # type: ignore[index]
        for one in shown_within:
            _attach(html, "add_related", one, disposition="inline", cid=f"<{one.content_id}>")
    for one in mail.attachments:
        if one not in shown_within:
            _attach(message, "add_attachment", one)


def _attach(whole: Any, how: str, one: Attachment, disposition: str = "attachment", **more: str) -> None:
    maintype, _, subtype = one.type.partition("/")
    getattr(whole, how)(one.content, maintype=maintype, subtype=subtype, **more)
    part = whole.get_payload()[-1]
    del part["Content-Disposition"]
    part["Content-Disposition"] = _Written(f"{disposition};\r\n {_file_name(one.name)}")


def _file_name(name: str) -> str:
    """As a parameter; what is not plain is percent-encoded (RFC 2231), on as many lines as it takes."""
    if _PLAIN_FILE.fullmatch(name):
        return f'filename="{name}"'
    lines = [""]
    for letter in name:
        encoded = quote(letter, safe="", errors="surrogatepass")
        if len(lines[-1]) + len(encoded) > LONGEST_LINE - 24:
            lines.append("")
        lines[-1] += encoded
    lines[0] = "utf-8''" + lines[0]
    if len(lines) == 1:
        return f"filename*={lines[0]}"
    return ";\r\n ".join(f"filename*{number}*={line}" for number, line in enumerate(lines))


def _set_boundaries(message: EmailMessage, id: str) -> None:
    """The standard library draws lots for them; ours are made of the id, so that the bytes are the same each time."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        assert isinstance(part, MIMEPart)
        part.set_boundary("=_" + hashlib.sha256(f"{id} {number}".encode()).hexdigest()[:40])


def _mailboxes(name: str, those: Sequence[Mailbox]) -> str:
    return " " + ",\r\n ".join(_mailbox(name, one) for one in those)


def _mailbox(name: str, one: Mailbox) -> str:
    if not one.name:
        return one.address
    if not _is_plain(one.name):
        return f"{_encoded(name, one.name)} <{one.address}>"
    if _ATOMS.fullmatch(one.name):
        return f"{one.name} <{one.address}>"
    quoted = one.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{one.address}>'


def _text(name: str, text: str) -> str:
    return _folded(name, text) if _is_plain(text) else f" {_encoded(name, text)}"


def _is_plain(text: str) -> bool:
    """Whether it can stand there as it is; what reads like an encoded word is encoded, so that readers see it."""
    return text.isascii() and "=?" not in text


def _encoded(name: str, text: str) -> str:
    """By UTF-8 words of whole characters, each short enough for a line."""
    try:
        return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")
    except UnicodeError:
        return text  # stops at the gate


def _folded(name: str, text: str) -> str:
    """Between words only: a link or an id stays in one piece, lines may have 998 characters (RFC 5322, 2.1.1)."""
    lines = [""]
    for word in re.findall(r"[ \t]*[^ \t]+", " " + text):
        room = LONGEST_LINE - (len(name) + 1 if len(lines) == 1 else 0)
        if lines[-1] and len(lines[-1]) + len(word) > room:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines)
