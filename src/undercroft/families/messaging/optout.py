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
    """What links are signed with; made once, by the first writer who needs it."""
    row = tx.one("SELECT secret FROM messaging_secret ORDER BY secret LIMIT 1")
    if row is None:
        tx.run(
            "INSERT INTO messaging_secret (secret) SELECT CAST(:fresh AS TEXT)"
            " WHERE NOT EXISTS (SELECT 1 FROM messaging_secret)",
            fresh=new_secret(),
        )
        row = tx.one("SELECT secret FROM messaging_secret ORDER BY secret LIMIT 1")
        assert row is not None, "put in above"
    return str(row[0])


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
