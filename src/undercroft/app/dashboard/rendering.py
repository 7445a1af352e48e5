"""Templates into replies, with the headers that keep a page what it is: no foreign script, no frame, no copy kept."""

import asyncio
import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from undercroft import __version__
from undercroft.app.dashboard import words
from undercroft.app.dashboard.assets import Assets, text_of
from undercroft.machinery.operations import Reply

HTML = b"text/html; charset=utf-8"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# No referrer would make browsers send `Origin: null` with our own forms.
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Rendering:
    def __init__(self, assets: Assets) -> None:
        # What is shown to strangers loads nothing: its style is within, allowed by its hash.
        style = text_of("tones.css", "small.css")
        self._environment = _environment(assets, style)
        self._headers = _headers("'self'")
        self._framing_headers = _headers("'self'", "; frame-src 'self'")
        self._small_headers = _headers(f"'{_hash(style)}'")

    async def page(self, template: str, **values: Any) -> Reply:
        """A page for somebody who is signed in. Made in a thread: for its milliseconds deliveries should not wait."""
        return Reply(200, await asyncio.to_thread(self._render, template, values), HTML, self._headers)

    async def framing_page(self, template: str, **values: Any) -> Reply:
        """As `page`, and it may show another of ours in a frame."""
        reply = await self.page(template, **values)
        return reply._replace(headers=self._framing_headers)

    def small_page(self, template: str, code: int, **values: Any) -> Reply:
        return Reply(code, self._render(template, values), HTML, self._small_headers)

    def _render(self, template: str, values: dict[str, Any]) -> bytes:
        # A lone surrogate can't be sent; `words.plain` has shown those of other people's text by their numbers.
        return self._environment.get_template(template).render(values).encode("utf-8", "replace")


def _environment(assets: Assets, style: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(asset=assets.url, version=__version__, style=Markup(style))
    environment.filters.update(
        plain=words.plain,
        relative=words.relative,
        absolute=words.absolute,
        machine=words.machine,
        duration=words.duration,
        number=words.number,
        size=words.size,
    )
    return environment


def _headers(styles: str, more: str = "") -> tuple[tuple[bytes, bytes], ...]:
    return (*_HEADERS, (b"content-security-policy", (_POLICY.format(styles=styles) + more).encode()))


def _hash(style: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
