"""`sender`: an external message sender, which takes POST /outbound/ and answers with the id that it gave. (§7.4)"""

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import own_target
from undercroft.families.messaging.channels.webhook import PostTransport
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result, Target
from undercroft.machinery.deliveries.webhook import WebhookAddress, address_json

TRANSPORT = "messaging sender"
ADDRESS_KIND = "msisdn"


def target(tx: Transaction, url: str, token: str, now: int) -> int:
    headers = {"Authorization": f"Token {token}"} if token else {}
    address = address_json(WebhookAddress(url.rstrip("/") + "/outbound/", headers=headers))
    return own_target(tx, "sender", TRANSPORT, address, now)


class SenderTransport(PostTransport):
    """The sender is everybody's: a 410 is about one message, which stands among what failed, and pauses nobody's."""

    async def send(
        self, target: Target, delivery: Delivery, webhook_id: str, family_headers: dict[str, str]
    ) -> Outcome:
        outcome = await super().send(target, delivery, webhook_id, family_headers)
        if outcome.result is not Result.GONE:
            return outcome
        return outcome._replace(result=Result.HOPELESS, error="answered 410: the sender does not take this message")
