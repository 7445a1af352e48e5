"""Routes: the webhooks that `webhook:ROUTE` means. A route is a target of the deliveries."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import FAMILY, RETRIES
from undercroft.families.messaging.channels.webhook import TRANSPORT
from undercroft.families.messaging.errors import in_use, missing
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Target, TargetSettings
from undercroft.machinery.deliveries.webhook import WebhookAddress, address_json


class Route(NamedTuple):
    """`concurrency`: calls at once; `secret` signs them (whsec_…)."""

    name: str
    url: str
    headers: dict[str, str]
    secret: str | None
    concurrency: int


def put(tx: Transaction, namespace: str, route: Route, now: int) -> Target:
    """Make the route, or change it; one that was paused goes on."""
    address = address_json(WebhookAddress(route.url, headers=route.headers, secret=route.secret))
    settings = TargetSettings(address, retries=RETRIES, shown={"url": route.url})
    key = (FAMILY, namespace, route.name)
    targets.put_target(tx, key, TRANSPORT, settings, concurrency=route.concurrency, rate=None, paused_at=None, now=now)
    return require(tx, namespace, route.name)


def require(tx: Transaction, namespace: str, name: str) -> Target:
    found = targets.find_target(tx, FAMILY, namespace, name)
    if found is None:
        raise missing()
    return found


def remove(tx: Transaction, namespace: str, name: str, now: int) -> None:
    """Raises Refusal(CONFLICT) while sets send by it, or messages wait for it."""
    route = require(tx, namespace, name)
    used = tx.one(
        "SELECT short_name FROM messaging_sets WHERE namespace = :namespace AND channel = :channel LIMIT 1",
        namespace=namespace,
        channel=f"webhook:{name}",
    )
    if used is not None:
        raise in_use(f"The route is in use: the message set {used[0]} sends by it.")
    if targets.has_pending(tx, route.id):
        raise in_use("The route is in use: messages wait for it.")
    targets.remove_target(tx, route.id, now)
