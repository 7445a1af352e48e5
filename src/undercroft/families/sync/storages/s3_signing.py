"""Signatures of requests to S3: AWS Signature Version 4. Pure.

Source: "Signing AWS API requests" in AWS' documentation; a key is quoted once, as it is sent.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

NOTHING = hashlib.sha256(b"").hexdigest()


class Keys(NamedTuple):
    key: str
    secret: str
    region: str

    def __repr__(self) -> str:
        return f"Keys(region={self.region!r})"


def quoted(key: str) -> str:
    """A key as it stands in an address."""
    return quote(key, safe="/-_.~")


def query_of(parameters: Mapping[str, str]) -> str:
    """In the order and spelling that is signed."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    keys: Keys, method: str, host: str, path: str, query: str, headers: Mapping[str, str], digest: str, now: float
) -> dict[str, str]:
    """The headers to send: those given and the signature's. `digest`: the body's SHA-256; `now`: Unix seconds."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "x-amz-content-sha256": digest, "x-amz-date": moment}
    lower = {name.lower(): " ".join(value.split()) for name, value in {**sent, "host": host}.items()}
    names = ";".join(sorted(lower))
    canonical = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    request = "\n".join((method, path, query, canonical, names, digest))
    scope = f"{moment[:8]}/{keys.region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_signing_key(keys, moment[:8]), text.encode(), hashlib.sha256).hexdigest()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def _signing_key(keys: Keys, day: str) -> bytes:
    made = f"AWS4{keys.secret}".encode()
    for part in (day, keys.region, "s3", "aws4_request"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made
