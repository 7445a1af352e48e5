"""What pages load besides themselves: served by us under names that hold a hash of the content, kept for good."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.operations import Reply, Request

_FOLDER = files(__package__) / "assets"
# Name → the files that it is put together from, and its type.
_BUNDLES = {
    "house.css": (("tones.css", "house.css"), b"text/css; charset=utf-8"),
    "docs.css": (("docs.css",), b"text/css; charset=utf-8"),
    "live.js": (("live.js",), b"text/javascript; charset=utf-8"),
    "mark.svg": (("mark.svg",), b"image/svg+xml"),
}
_KEPT = ((b"cache-control", b"private, max-age=31536000, immutable"),)


class Asset(NamedTuple):
    url: str
    body: bytes
    content_type: bytes


class Assets:
    """GET /assets/{name}."""

    def __init__(self) -> None:
        self._assets = {name: _asset(name, parts, kind) for name, (parts, kind) in _BUNDLES.items()}
        self._by_url = {asset.url: asset for asset in self._assets.values()}

    def url(self, name: str) -> str:
        return self._assets[name].url

    async def fetch(self, request: Request) -> Reply:
        asset = self._by_url.get(f"/assets/{request.path['name']}")
        if asset is None:
            raise Refusal(Kind.NOT_FOUND, "path", "there is no such asset; the page that asked for it is out of date")
        return Reply(200, asset.body, asset.content_type, _KEPT)


def text_of(*names: str) -> str:
    """These files of the folder, one after the other."""
    return "".join((_FOLDER / name).read_text("utf-8") for name in names)


def _asset(name: str, parts: tuple[str, ...], content_type: bytes) -> Asset:
    body = text_of(*parts).encode()
    stem, _, ending = name.rpartition(".")
    return Asset(f"/assets/{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{ending}", body, content_type)
