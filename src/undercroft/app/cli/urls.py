"""URLs of servers, and paths on them."""

import ipaddress
from urllib.parse import quote, urlsplit

from undercroft.app.cli.failures import WrongUsage

DEFAULT_URL = "http://127.0.0.1:3862"


def path_of(*segments: str) -> str:
    """`/job/default/a%2Fb`: each segment is one, whatever it holds."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise WrongUsage(f"{segment!r} can't stand in a URL", "name it otherwise: URLs drop . and ..")
    return "/" + "/".join(quote(segment, safe="", errors="surrogateescape") for segment in segments)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked_url(text: str) -> str:
    """An http(s) URL without anything behind host, port and path.

    Raises WrongUsage.
    """
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts, good = urlsplit(""), False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise WrongUsage(f"{text!r} is no URL of a server", f"write one such as {DEFAULT_URL}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise WrongUsage("a server's URL has no user, password, query or fragment", f"such as {DEFAULT_URL}")
    return url.rstrip("/")
