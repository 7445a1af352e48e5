"""A delivery as the bytes of an HTTP request, and which URLs and headers may be in it."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from undercroft.base.refusals import invalid
from undercroft.machinery.deliveries.model import Delivery, Target
from undercroft.machinery.deliveries.signatures import sign, signing_key
from undercroft.machinery.deliveries.webhook.address import WebhookAddress
from undercroft.machinery.deliveries.webhook.pool import Origin

USER_AGENT = "Undercroft"
METHODS = ("POST", "PUT", "PATCH")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade", "trailer"}


class Prepared(NamedTuple):
    """The part of a target's requests that never changes."""

    origin: Origin
    head: bytes
    keys: tuple[bytes, ...]


def check_url(url: str, default_scheme: str) -> str:
    """The URL with its scheme, ready to be called.

    Raises Refusal(INVALID, "url") that says what is wrong with it.
    """
    whole = url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"{default_scheme}://{url}"
    if len(whole) > 2_048 or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in whole):
        raise invalid("url", "the URL may not be longer than 2,048 letters nor hold blanks or control characters")
    try:
        parts = urlsplit(whole)
        origin = _origin(parts)
    except ValueError as error:
        raise invalid("url", f"that is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not (_HOST.fullmatch(origin.host) or ":" in origin.host):
        raise invalid("url", "the URL must be an http:// or https:// address with the name or address of a host")
    if parts.username is not None or parts.password is not None:
        raise invalid("url", "the URL may not hold a user or password; send an Authorization header instead")
    return whole


def check_headers(headers: dict[str, str]) -> None:
    """Raises Refusal(INVALID, "headers") for what would break the request or is ours to set."""
    if len(headers) > 50 or sum(len(name) + len(value) for name, value in headers.items()) > 8_192:
        raise invalid("headers", "at most 50 headers of 8,192 letters together")
    for name, value in headers.items():
        lowered = name.lower()
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise invalid("headers", f"the header {name!r} has letters that HTTP does not allow")
        if lowered in _OURS or lowered.startswith(("webhook-", "x-undercroft-")):
            raise invalid("headers", f"the header {name!r} is set by the server")


def prepare(target: Target) -> Prepared:
    return _prepare(bytes(target.settings.address))


@lru_cache(maxsize=4_096)
def _prepare(settings: bytes) -> Prepared:
    address = msgspec.json.decode(settings, type=WebhookAddress)
    parts = urlsplit(address.url)
    origin = _origin(parts)
    path = quote(parts.path or "/", safe="/%!$&'()*+,;=:@~-._") + (
        "?" + quote(parts.query, safe="/%!$&'()*+,;=:@~-._?[]") if parts.query else ""
    )
    named = {"host": _host_header(origin), "user-agent": USER_AGENT, "content-type": "application/json"}
    shown = {"host": "Host", "user-agent": "User-Agent", "content-type": "Content-Type"}
    for name, value in address.headers.items():
        named[name.lower()] = value
        shown[name.lower()] = name
    secrets = (address.secret, address.old_secret)
    lines = [f"{address.method} {path} HTTP/1.1", *(f"{shown[name]}: {value}" for name, value in named.items())]
    return Prepared(origin, "\r\n".join(lines).encode("latin-1"), tuple(signing_key(one) for one in secrets if one))


def build(prepared: Prepared, delivery: Delivery, webhook_id: str, now: int, family_headers: dict[str, str]) -> bytes:
    """The whole request. `now` in milliseconds; the body is the delivery's, to the letter."""
    body = delivery.body.encode()
    seconds = now // 1_000
    lines = [
        f"webhook-id: {webhook_id}",
        f"webhook-timestamp: {seconds}",
        *(f"{name}: {value}" for name, value in family_headers.items()),
    ]
    if prepared.keys:
        lines.append(f"webhook-signature: {sign(list(prepared.keys), webhook_id, seconds, body)}")
    lines.append(f"Content-Length: {len(body)}")
    return b"%b\r\n%b\r\n\r\n%b" % (prepared.head, "\r\n".join(lines).encode("latin-1"), body)


def header_safe(text: str) -> str:
    """Any text as a header value: what is not printable ASCII, and %, percent-encoded."""
    if text.isalnum() and text.isascii():
        return text
    return quote(text, safe="!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")


def _origin(parts: SplitResult) -> Origin:
    host = parts.hostname or ""
    if host and not host.isascii():
        host = host.encode("idna").decode()
    return Origin(parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80))


def _host_header(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    usual = 443 if origin.scheme == "https" else 80
    return host if origin.port == usual else f"{host}:{origin.port}"
