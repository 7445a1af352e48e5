"""What can be done on the pages; one transaction each. What an identity may not see is not there for it."""

from collections.abc import Callable, Mapping

from undercroft.app.dashboard.reading import may_see
from undercroft.base.refusals import not_found
from undercroft.database import Transaction
from undercroft.machinery.deliveries import overview, store, targets
from undercroft.machinery.deliveries.model import Delivery
from undercroft.machinery.identity.model import Identity

Replay = Callable[[Transaction, Delivery, int], None]


def replay(tx: Transaction, identity: Identity, id: int, hooks: Mapping[str, Replay], now: int) -> None:
    """A dead letter begins a new life, due now, or what its family makes of it. Nothing happens to one that is not dead
    any more."""
    seen = overview.find(tx, id)
    if seen is None or not may_see(tx, identity, seen.family, seen.namespace):
        raise not_found("delivery", "this delivery is no longer there")
    own, dead = hooks.get(seen.family), store.find_dead(tx, id)
    if own is None:
        store.replay(tx, [id], now)
    elif dead is not None:
        own(tx, dead, now)


def resume_target(tx: Transaction, identity: Identity, id: int) -> None:
    """What is held for the target goes on."""
    place = overview.place_of_target(tx, id)
    if place is None or not may_see(tx, identity, *place):
        raise not_found("target", "this route is no longer there")
    targets.pause_target(tx, id, None, None)


def resume_queue(tx: Transaction, identity: Identity, id: int) -> None:
    place = overview.place_of_queue(tx, id)
    if place is None or not may_see(tx, identity, *place):
        raise not_found("queue", "this collection is no longer there")
    targets.pause_queue(tx, id, None)
