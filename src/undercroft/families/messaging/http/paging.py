"""Lists in pages of a thousand, with opaque cursors and whole URLs that lead on and back. (contract §3)"""

import base64
import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from undercroft.base.refusals import Kind, Refusal
from undercroft.families.messaging.tables import Window
from undercroft.machinery.operations import Request

PAGE_SIZE = 1_000
_HOST = re.compile(r"[A-Za-z0-9._~-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_CURSOR = re.compile(rb"([rp])=(\d{1,18})")
T = TypeVar("T")


def window(parameters: dict[str, str]) -> Window:
    """Raises Refusal(NOT_FOUND) for a cursor that is none of ours."""
    cursor = parameters.get("cursor", "")
    if not cursor:
        return Window(PAGE_SIZE)
    try:
        found = _CURSOR.fullmatch(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except ValueError:
        found = None
    if found is None:
        raise Refusal(Kind.NOT_FOUND, "cursor", "Invalid cursor")
    return Window(PAGE_SIZE, int(found[2]), found[1] == b"r")


def envelope(
    request: Request, path: str, window: Window, walked: Sequence[Any], keys: Sequence[int], results: Any
) -> dict[str, Any]:
    """`path`: the list's; `walked`: what the page found, up to one more than its limit; `keys`, `results`: of those
    that are shown, in the order of the list."""
    more = len(walked) > window.limit
    onward = bool(keys) and (more or window.backwards)
    back = bool(keys) and window.position is not None and (more or not window.backwards)
    return {
        "next": link(request, path, keys[-1]) if onward else None,
        "previous": link(request, path, keys[0], b"r") if back else None,
        "results": results,
    }


def shown(window: Window, walked: Sequence[T]) -> list[T]:
    """What the page shows of what it found, in the order of the list."""
    kept = list(walked[: window.limit])
    return kept[::-1] if window.backwards else kept


def base_url(request: Request) -> str:
    """As the caller named this server: clients look for their own URL at the beginning of links."""
    host = request.header(b"host") or ""
    scheme = "https" if request.headers.get(b"x-forwarded-proto") == b"https" else "http"
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else ""


def link(request: Request, path: str, key: int, direction: bytes = b"p") -> str:
    """To what comes after this key in the list, or before it (r)."""
    cursor = base64.b64encode(b"%b=%d" % (direction, key), altchars=b"-_").decode()
    given = parse_qsl(request.query_string.decode("ascii"), keep_blank_values=True)
    others = [pair for pair in given if pair[0] != "cursor"]
    return f"{base_url(request)}{path}/?{urlencode([('cursor', cursor), *others])}"
