"""A webhook's address: what a target of this transport holds."""

from functools import lru_cache

import msgspec

from undercroft.machinery.deliveries.model import TargetSettings


class WebhookAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to call it. `secret` signs (whsec_…); `old_secret` also signs while it is being rotated."""

    url: str = ""
    method: str = "POST"
    headers: dict[str, str] = {}
    secret: str | None = None
    old_secret: str | None = None

    def __repr__(self) -> str:
        return f"WebhookAddress(url={self.url!r}, …)"


def address_in(settings: TargetSettings) -> WebhookAddress:
    return _decoded(bytes(settings.address))


def address_json(address: WebhookAddress) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(address))


@lru_cache(maxsize=4_096)
def _decoded(address: bytes) -> WebhookAddress:
    return msgspec.json.decode(address, type=WebhookAddress)
