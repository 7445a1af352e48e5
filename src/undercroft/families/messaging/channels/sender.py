"""`sender`: an external message sender, which takes POST /outbound/ and answers with the id that it gave. (§7.4)"""

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.families.messaging.channels.webhook import TRANSPORT
from undercroft.machinery.deliveries.webhook import WebhookAddress, address_json

ADDRESS_KIND = "msisdn"


def target(tx: Transaction, url: str, token: str, now: int) -> int:
    headers = {"Authorization": f"Token {token}"} if token else {}
    address = address_json(WebhookAddress(url.rstrip("/") + "/outbound/", headers=headers))
    return own_target(tx, "sender", TRANSPORT, address, now)
