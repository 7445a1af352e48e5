"""SSH keys of users: what is one, and whose it is."""

import base64
import binascii
import hashlib
import re
import struct
from typing import NamedTuple

from undercroft.base.refusals import conflict, invalid, not_found
from undercroft.database import Transaction
from undercroft.machinery.identity.memberships import lock_user
from undercroft.machinery.identity.model import NotIdentified
from undercroft.machinery.identity.records import record

LONGEST = 16 * 1_024
MOST_PER_USER = 100
# Type → bytes of the key's blob, least and most. RSA below 2048 bits and DSA are not safe any more.
_SIZES = {
    "ssh-ed25519": (51, 51),
    "ecdsa-sha2-nistp256": (104, 104),
    "ecdsa-sha2-nistp384": (136, 136),
    "ecdsa-sha2-nistp521": (172, 172),
    "sk-ssh-ed25519@openssh.com": (58, 300),
    "sk-ecdsa-sha2-nistp256@openssh.com": (111, 400),
    "ssh-rsa": (276, 2_100),
}
TYPES = tuple(_SIZES)
# The contract's own example is `my-key`: a word that is no key is kept by that name, and opens nothing.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Key(NamedTuple):
    content: str
    fingerprint: str
    """`SHA256:…` as ssh-keygen shows it; of a mere word, of that and its user."""


class KeptKey(NamedTuple):
    name: str
    """`EMAIL-NUMBER`."""
    content: str
    fingerprint: str
    created_at: int


def read_key(text: str, email: str) -> Key:
    """One line as in `~/.ssh/id_ed25519.pub`: type, base64, comment. Raises Refusal(INVALID, "key")."""
    text = text.strip()
    if len(text) > LONGEST or not text.isprintable():
        raise invalid("key", f"A key is one line of up to {LONGEST} characters")
    words = text.split(" ", 2)
    if len(words) == 1:
        if not _WORD.fullmatch(text) or text in _SIZES:
            raise invalid("key", "This is no public key: send the whole line of a file such as ~/.ssh/id_ed25519.pub")
        return Key(text, _fingerprint(f"{email} {text}".encode()))
    kind = words[0]
    if kind not in _SIZES:
        raise invalid("key", f"A key of the type {kind[:50]!r} is not taken; these are: {', '.join(TYPES)}")
    return Key(text, _fingerprint(_blob(kind, words[1])))


def add_key(tx: Transaction, email: str, key: Key, now: int) -> None:
    """Raises Refusal(CONFLICT, "key_exists"), also where it is another user's: a key names one user."""
    if not lock_user(tx, email):
        raise NotIdentified
    row = tx.one("SELECT COUNT(*), COALESCE(MAX(number), 0) FROM user_keys WHERE email = :email", email=email)
    count, last = row or (0, 0)
    if count >= MOST_PER_USER:
        raise invalid("key", f"A user has up to {MOST_PER_USER} keys; remove one first")
    made = tx.run(
        "INSERT INTO user_keys (email, number, content, fingerprint, created_at)"
        " VALUES (:email, :number, :content, :fingerprint, :now) ON CONFLICT (fingerprint) DO NOTHING",
        email=email,
        number=last + 1,
        content=key.content,
        fingerprint=key.fingerprint,
        now=now,
    )
    if not made:
        raise conflict("key_exists", _whose(tx, email, key))
    record(tx, now, email, "add key", email, {"fingerprint": key.fingerprint})


def remove_key(tx: Transaction, email: str, key: Key, now: int) -> None:
    """Raises Refusal(NOT_FOUND, "key")."""
    gone = tx.run(
        "DELETE FROM user_keys WHERE email = :email AND fingerprint = :fingerprint",
        email=email,
        fingerprint=key.fingerprint,
    )
    if not gone:
        raise not_found("key", "User does not have this key")
    record(tx, now, email, "remove key", email, {"fingerprint": key.fingerprint})


def keys_of(tx: Transaction, email: str) -> list[KeptKey]:
    rows = tx.all(
        "SELECT number, content, fingerprint, created_at FROM user_keys WHERE email = :email ORDER BY number",
        email=email,
    )
    return [KeptKey(f"{email}-{number}", *rest) for number, *rest in rows]


def _whose(tx: Transaction, email: str, key: Key) -> str:
    row = tx.one("SELECT email FROM user_keys WHERE fingerprint = :fingerprint", fingerprint=key.fingerprint)
    return "User already has this key" if row is None or row[0] == email else "Another user has this key"


def _blob(kind: str, text: str) -> bytes:
    """The key itself. It begins with its type, so that neither can be exchanged. (RFC 4253 §6.6)"""
    try:
        blob = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("key", "The key's second part is not base64: was it copied as a whole?") from None
    least, most = _SIZES[kind]
    if blob[: 4 + len(kind)] != struct.pack(">I", len(kind)) + kind.encode():
        raise invalid("key", f"The key says that it is {kind}, but inside it is not")
    if not least <= len(blob) <= most:
        why = "it is cut off, or of fewer than 2048 bits" if len(blob) < least else "it is too long"
        raise invalid("key", f"This is no {kind} key: {why}")
    return blob


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
