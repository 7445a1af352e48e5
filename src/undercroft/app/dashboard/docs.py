"""GET /docs: the OpenAPI document as a page to read."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from undercroft.app.dashboard import session
from undercroft.app.dashboard.documents import sections
from undercroft.app.dashboard.rendering import Rendering
from undercroft.machinery.guide import Guide
from undercroft.machinery.operations import Reply, Request


class Docs:
    def __init__(
        self, rendering: Rendering, document: Callable[[], Mapping[str, Any]], guides: Mapping[str, Guide]
    ) -> None:
        """`document` gives the OpenAPI document; `guides`: family → what else there is to say."""
        self._rendering = rendering
        self._document = cache(document)
        self._guides = guides

    async def docs(self, request: Request) -> Reply:
        origin = origin_of(request.headers)
        parts = sections(self._document(), self._guides, origin, request.now)
        return await self._rendering.page("docs.html", identity=request.identity, sections=parts, origin=origin)


def origin_of(headers: Mapping[bytes, bytes]) -> str:
    """Where the browser reached us, for examples to paste; only what is shaped like a host is repeated."""
    host = headers.get(b"host", b"").decode("latin-1")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", host):
        host = "127.0.0.1:3862"
    return f"{'https' if session.is_https(headers) else 'http'}://{host}"
