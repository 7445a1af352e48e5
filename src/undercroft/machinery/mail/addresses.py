"""E-mail addresses as people write them, and what we make of them. Pure.

Taken is what the WHATWG's `input type=email` takes (HTML, section 4.10.5.1.5), with or without a name before it:
`ann@example.com`, `Ann <ann@example.com>`, `"Doe, Ann" <ann@example.com>`. Domains may be in any script; they go out in
their ASCII form. Not taken are comments, quoted local parts, addresses of machines by number, and what reads like an
encoded word (RFC 2047).
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from undercroft.base.refusals import Refusal, invalid

LONGEST_ADDRESS = 254
LONGEST_NAME = 200
# The text of one field, before it is taken apart.
LONGEST_FIELD = 64 * 1_024

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"(?![^@]*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
# A name in quotes or without, then the address in angle brackets; or the address alone. A comma ends each.
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_ONE = re.compile(
    rf"\s*+(?:(?P<name>{_QUOTED}\s*+|[^\",<>@()\\\\]*+)<\s*+(?P<within>[^<>\s]++)\s*+>|(?P<bare>[^\s,<>\"]++))\s*+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")


class Mailbox(msgspec.Struct, frozen=True, array_like=True):
    """An address, and the name shown beside it, "" for none."""

    address: str
    name: str = ""

    def written(self) -> str:
        """As people write it."""
        if not self.name:
            return self.address
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'"{escaped}" <{self.address}>'
            if re.search(r'[",<>@()\\:;\[\]]', self.name)
            else f"{self.name} <{self.address}>"
        )


def read_mailboxes(
    field: str, written: str | Sequence[str] | None, most: int, too_many: Refusal
) -> tuple[Mailbox, ...]:
    """Of one text with commas, or of a list of such texts; read is no more than it takes to see that they are too many.

    Raises Refusal(INVALID, "address") that names the field and what in it is no address, or `too_many`.
    """
    if written is None:
        return ()
    texts = (written,) if isinstance(written, str) else written
    if len(texts) > most:
        raise too_many
    if sum(map(len, texts)) > LONGEST_FIELD:
        raise invalid("address", f"{field} is longer than {LONGEST_FIELD} characters")
    found: list[Mailbox] = []
    for text in texts:
        for mailbox in _read(field, text):
            if len(found) == most:
                raise too_many
            found.append(mailbox)
    return tuple(found)


def read_mailbox(field: str, written: str) -> Mailbox:
    """The only one of this text."""
    [found] = read_mailboxes(field, [written], 1, invalid("address", f"{field} takes one address, not several"))
    return found


def key_of(address: str) -> str:
    """What addresses are compared by: nobody has Ann@example.com and ann@example.com for two people."""
    return address.casefold()


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def _read(field: str, text: str) -> Iterator[Mailbox]:
    if len(text) <= LONGEST_ADDRESS and _PLAIN.fullmatch(text):  # the usual one, at once
        yield Mailbox(_lowered(text))
        return
    if _CONTROL.search(text):
        raise invalid("address", f"{field} may not hold line breaks or control characters")
    position = 0
    while True:
        match = _ONE.match(text, position)
        if match is None or (match.end() < len(text) and text[match.end()] != ","):
            raise invalid(
                "address", f"{field}: {_excerpt(text[position:])} is no e-mail address, such as ann@example.com"
            )
        yield Mailbox(_address(field, match["within"] or match["bare"]), _name(field, match["name"] or ""))
        if match.end() == len(text):
            return
        position = match.end() + 1


def _address(field: str, text: str) -> str:
    local, at, domain = text.rpartition("@")
    if at and not domain.isascii():
        text = f"{local}@{_domain(field, domain)}"
    if not _PLAIN.fullmatch(text):
        raise invalid("address", f"{field}: {_excerpt(text)} is no e-mail address, such as ann@example.com")
    if len(text) > LONGEST_ADDRESS:
        raise invalid("address", f"{field}: an address has {LONGEST_ADDRESS} characters at the most")
    return _lowered(text)


def _domain(field: str, written: str) -> str:
    """In ASCII, where it is the same one by IDNA 2003 and by IDNA 2008.

    The older standard makes ss.de of ß.de, which belongs to somebody else; whoever means either writes it in ASCII.
    """
    lowered = "".join(letter.lower() for letter in re.sub("[\u3002\uff0e\uff61]", ".", written[: LONGEST_ADDRESS + 1]))
    try:
        ascii_form = written[: LONGEST_ADDRESS + 1].encode("idna")
        same = ascii_form.lower().decode("idna") == unicodedata.normalize("NFKC", lowered)
    except UnicodeError:
        raise invalid("address", f"{field}: {_excerpt(written)} is no domain") from None
    if not same:
        raise invalid("address", f"{field}: {_excerpt(written)} is read in two ways; write it in ASCII, as xn--…")
    return ascii_form.decode("ascii")


def _name(field: str, written: str) -> str:
    name = re.sub(r"\\(.)", r"\1", written.strip()[1:-1]) if written.startswith('"') else written
    if len(name) > LONGEST_NAME:
        raise invalid("address", f"{field}: a name has {LONGEST_NAME} letters at the most")
    return " ".join(name.split())


def _lowered(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def _excerpt(text: str) -> str:
    return repr(text.strip() if len(text) <= 80 else text[:80].strip() + "…")
