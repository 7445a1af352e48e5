"""A browser's session: the cookie that carries its token, and which of its requests are our own pages' doing."""

import re
from collections.abc import Mapping

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity.actions import SESSION_SECONDS

Headers = Mapping[bytes, bytes]
_NAME = b"undercroft"
_SAFE = ("GET", "HEAD")


def token_of(headers: Headers, method: str) -> str | None:
    """The token in the session's cookie; None where there is none.

    Raises Refusal(FORBIDDEN) for a change that another site's page asks the browser for.
    """
    token = _cookies(headers).get(_cookie_name(headers))
    if token and method not in _SAFE:
        check_own_site(headers)
    return token or None


def check_own_site(headers: Headers) -> None:
    """Raises Refusal(FORBIDDEN) unless the browser says that the request comes from a page of ours.

    Browsers say so in Sec-Fetch-Site, but not over plain HTTP from another machine: then Origin must name our host.
    """
    site, origin, host = headers.get(b"sec-fetch-site"), headers.get(b"origin"), headers.get(b"host")
    ours = (b"http://" + host, b"https://" + host) if host else ()
    if site != b"same-origin" and (site is not None or origin not in ours):
        raise Refusal(Kind.FORBIDDEN, "foreign", "this was not asked for by a page of this server; begin again at /")


def started(token: str, seconds: int, headers: Headers) -> tuple[bytes, bytes]:
    """The header that gives the browser its session."""
    return b"set-cookie", _cookie(headers, token.encode("ascii"), min(seconds, SESSION_SECONDS))


def ended(headers: Headers) -> tuple[bytes, bytes]:
    return b"set-cookie", _cookie(headers, b"", 0)


def is_https(headers: Headers) -> bool:
    """Whether the browser speaks HTTPS, to a proxy in front of us."""
    return headers.get(b"x-forwarded-proto", b"").partition(b",")[0].strip().lower() == b"https"


def _cookie(headers: Headers, value: bytes, seconds: int) -> bytes:
    secure = b"; Secure" if is_https(headers) else b""
    return b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%b" % (_cookie_name(headers), value, seconds, secure)


def _cookie_name(headers: Headers) -> bytes:
    """With __Host- no neighbour on the same domain can set it for us; browsers take that over HTTPS only."""
    return b"__Host-" + _NAME if is_https(headers) else _NAME


def _cookies(headers: Headers) -> dict[bytes, str]:
    """Of several with one name the first counts, as it has the longest path."""
    found: dict[bytes, str] = {}
    for pair in re.split(rb"[;,]", headers.get(b"cookie", b"")):
        name, _, value = pair.strip().partition(b"=")
        found.setdefault(name, value.decode("latin-1"))
    return found
