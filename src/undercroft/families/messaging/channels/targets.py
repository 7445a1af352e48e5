"""Targets that are the house's own and no route: made when they are first needed, changed with the settings."""

import msgspec

from undercroft.database import Transaction
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import TargetSettings

FAMILY = "messaging"
QUEUE = "messages"
OWN = "messaging's own"
"""The family of targets that stand in somebody's namespace: a route of theirs may have any name."""
NO_SUCH_TARGET = -1
"""What is sent there dies at once and stands among what failed, where people look for it."""

# Seconds between attempts: what a day's message still makes sense for.
RETRIES: tuple[float, ...] = (5, 30, 120, 600, 3_600, 10_800, 28_800)


def own_target(
    tx: Transaction,
    name: str,
    transport: str,
    address: msgspec.Raw,
    now: int,
    *,
    namespace: str = "",
    concurrency: int = 32,
    timeout: float = 15.0,
) -> int:
    """Its id. `namespace`: whose it is; "" for one that serves all. `timeout`: seconds for one attempt."""
    key = (OWN if namespace else FAMILY, namespace, name)
    found = targets.find_target(tx, *key)
    settings = TargetSettings(address, timeout=timeout, retries=RETRIES)
    if found is None or (found.settings, found.transport, found.concurrency) != (settings, transport, concurrency):
        targets.put_target(tx, key, transport, settings, concurrency=concurrency, rate=None, paused_at=None, now=now)
        found = targets.find_target(tx, *key)
        assert found is not None, "put in above"
    return found.id
