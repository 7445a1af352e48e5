"""Headers that a caller may set, and those it may not. Pure. Nothing that goes into a header holds a line break."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from undercroft.base.refusals import invalid
from undercroft.machinery.mail.addresses import read_mailbox

MOST_HEADERS = 50
LONGEST_VALUE = 900
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}")
# Ours to write, or the relays'.
_RESERVED = {
    "from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "sender", "mime-version",
    "dkim-signature", "received", "return-path", "authentication-results",
}  # fmt: skip
_RESERVED_BEGINNINGS = ("content-", "resent-", "arc-", "x-google-dkim", "received-")
# Whatever ends a line somewhere: the C0 and C1 controls, and Unicode's own line ends; and halves of characters.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")
# A field as RFC 5322 has it, folded: printable ASCII, each further line begins with a blank and is not blank.
_WRITTEN = re.compile(rb"([!-9;-~]+):((?:[ \t][ -~\t]*)?(?:\r\n[ \t]+[!-~][ -~\t]*)*)\r\n")
LONGEST_LINE = 998


def check_written(head: bytes, names: Sequence[str]) -> bytes:
    """The last gate: this head, as it goes out, if it has these fields in this order and nothing else.

    Raises Refusal(INVALID, "headers"): whoever wrote it has let something through.
    """
    found, position = [], 0
    while field := _WRITTEN.match(head, position):
        found.append(field[1].decode())
        position = field.end()
    too_long = any(len(line) > LONGEST_LINE for line in head.split(b"\r\n"))
    if position < len(head) or too_long or found != list(names):
        raise invalid("headers", "the head of this mail can't be written: a subject, a name or a header is malformed")
    return head


def check_line(field: str, text: str, longest: int) -> str:
    """A text that fits into one line.

    Raises Refusal(INVALID) with the field as its code.
    """
    if len(text) > longest:
        raise invalid(field, f"{field} is longer than {longest} characters")
    if _CONTROL.search(text):
        raise invalid(field, f"{field} may not hold line breaks or control characters")
    return text.strip()


def check_headers(given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Raises Refusal(INVALID, "headers")."""
    if len(given) > MOST_HEADERS:
        raise invalid("headers", f"a mail has {MOST_HEADERS} headers of its own at the most")
    if len({name.lower() for name in given}) < len(given):
        raise invalid("headers", "a header is there twice")
    return tuple((_check_name(name), check_line("headers", value, LONGEST_VALUE)) for name, value in given.items())


def check_unsubscribe(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Where a reader unsubscribes: an https address, a mailto, or both (RFC 2369, RFC 8058).

    Raises Refusal(INVALID, "unsubscribe").
    """
    if given is None:
        return ()
    links = (given,) if isinstance(given, str) else tuple(given)
    if not 0 < len(links) <= 2:
        raise invalid("unsubscribe", "unsubscribe takes an https address, a mailto address, or one of each")
    return tuple(_check_link(link) for link in links)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid("headers", f"{name[:80]!r} is no name of a header: letters, digits and -")
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_BEGINNINGS):
        raise invalid(
            "headers", f"the header {name} is not yours to set; from, to, cc, reply_to … are fields of their own"
        )
    return name


def _check_link(link: str) -> str:
    try:
        parts = urlsplit(link if len(link) <= LONGEST_VALUE else "")
        known = (parts.scheme == "https" and bool(parts.hostname)) or (parts.scheme == "mailto" and bool(parts.path))
    except ValueError:
        parts, known = urlsplit(""), False
    # What reads like an encoded word (RFC 2047) some readers would decode, and go elsewhere.
    if not known or not re.fullmatch(r"[!-~]+", link) or re.search(r"[<>,\"]|=\?", link):
        raise invalid("unsubscribe", "unsubscribe takes https://… or mailto:…, in ASCII, percent-encoded where needed")
    if parts.scheme == "mailto":
        read_mailbox("unsubscribe", parts.path)
    return link
