"""Which requests come from this very machine: for what settings open to them without a token."""

import re

from undercroft.app.application import Head

_HOST = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}


def is_from_here(head: Head) -> bool:
    """Not through a proxy, whose clients we can't see, and not for another site's page in a browser on this machine."""
    if head.client is None or not (head.client.startswith("127.") or head.client == "::1"):
        return False
    if not _HOST.fullmatch(head.headers.get(b"host", b"")):
        return False  # a page of another site, whose name was made to lead here
    foreign = head.headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
    return not foreign and b"origin" not in head.headers and not _FORWARDED & head.headers.keys()
