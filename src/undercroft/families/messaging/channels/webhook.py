"""`webhook:ROUTE`: posts each message to the URL of that route, signed where the route has a secret."""

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import FAMILY, NO_SUCH_TARGET
from undercroft.families.messaging.lookup import Lookup
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Delivery, Outcome, Target
from undercroft.machinery.deliveries.webhook import WebhookTransport

TRANSPORT = "messaging"
ADDRESS_KIND = None


def target(tx: Transaction, namespace: str, route: str) -> int:
    found = targets.find_target(tx, FAMILY, namespace, route)
    return NO_SUCH_TARGET if found is None else found.id


class PostTransport:
    """Posts as the house's webhook transport does, once it is known where to."""

    def __init__(self, webhook: WebhookTransport, lookup: Lookup | None) -> None:
        self._webhook = webhook
        self._lookup = lookup

    def host(self, target: Target) -> str | None:
        return self._webhook.host(target)

    async def send(
        self, target: Target, delivery: Delivery, webhook_id: str, family_headers: dict[str, str]
    ) -> Outcome:
        found = delivery if self._lookup is None else await self._lookup.addressed(delivery)
        if isinstance(found, Outcome):
            return found
        return await self._webhook.send(target, found, webhook_id, family_headers)
