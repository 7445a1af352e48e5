"""Opt-out links: whoever holds one may end that one subscription, and do nothing else with it."""

import base64
import hashlib
import hmac
import uuid

from undercroft.base.ids import new_secret
from undercroft.database import Transaction
from undercroft.families.messaging.errors import missing

PATH = "/api/v1/optout"
_SIGNATURE_BYTES = 15


def secret(tx: Transaction) -> str:
    """What links are signed with; made once, by the first writer who needs it: another waits for that one here."""
    found = known_secret(tx)
    if found is None:
        tx.run("INSERT INTO messaging_secret (secret) VALUES (:fresh) ON CONFLICT DO NOTHING", fresh=new_secret())
        found = known_secret(tx)
        assert found is not None, "put in above"
    return found


def known_secret(tx: Transaction) -> str | None:
    """None before the first link was made."""
    row = tx.one("SELECT secret FROM messaging_secret")
    return None if row is None else str(row[0])


def url(base_url: str, key: str, subscription: str) -> str:
    return f"{base_url.rstrip('/')}{PATH}/{token(key, subscription)}"


def token(key: str, subscription: str) -> str:
    raw = uuid.UUID(subscription).bytes
    return base64.urlsafe_b64encode(raw + _sign(key, raw)).decode().rstrip("=")


def subscription_in(key: str, given: str) -> str:
    """The subscription that the link is for.

    Raises Refusal(NOT_FOUND) for one that we did not sign.
    """
    try:
        id = str(uuid.UUID(bytes=base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))[:16]))
    except ValueError:
        raise missing() from None
    if not hmac.compare_digest(token(key, id).encode(), given.encode()):
        raise missing()
    return id


def _sign(key: str, raw: bytes) -> bytes:
    return hmac.digest(key.encode(), b"opt-out" + raw, hashlib.sha256)[:_SIGNATURE_BYTES]
