"""A transport that may call loopback, and what it sends."""

from typing import Any

from tests.machinery.deliveries.making import FAMILY, NOW, Clock
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target, TargetSettings
from undercroft.machinery.deliveries.webhook import WebhookAddress, WebhookTransport, address_json

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def target(url: str, timeout: float = 5.0, **settings: Any) -> Target:
    given = TargetSettings(address_json(WebhookAddress(url, **settings)), timeout)
    return Target(1, FAMILY, "shop", "hook", "webhook", given, 32, None, None, None, None, 1)


def delivery(body: str = "{}") -> Delivery:
    return Delivery(7, 1, "job", 1, 2, 0, NOW, NOW, 1, 0, 1, NOW, body, None, None, None, None)


class Sender:
    """A transport that may call loopback."""

    def __init__(self) -> None:
        self.transport = WebhookTransport(Clock(), allow_private=True)

    async def send(self, port: int, path: str = "/", **settings: Any) -> Outcome:
        scheme = settings.pop("scheme", "http")
        to = target(f"{scheme}://127.0.0.1:{port}{path}", **settings)
        return await self.transport.send(to, delivery(), "msg_a_7_1", {})
