"""Standard Webhooks signatures, version 1: HMAC-SHA256 over `id.timestamp.body`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from undercroft.base.refusals import invalid

_PREFIX = "whsec_"


def new_signing_secret() -> str:
    """`whsec_` and 32 random bytes in base 64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_key(secret: str) -> bytes:
    """The bytes behind `whsec_…`.

    Raises Refusal(INVALID, "secret") unless it is base 64 of 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise invalid("secret", "a secret is whsec_ followed by 24 to 64 bytes in base 64; `true` makes one")
    return key


def sign(keys: list[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; one signature per key, so that receivers can change secrets in peace."""
    content = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    digests = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)
