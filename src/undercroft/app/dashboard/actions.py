"""What can be done on the pages; one transaction each. What an identity may not see is not there for it."""

from undercroft.app.dashboard.reading import may_see
from undercroft.base.refusals import not_found
from undercroft.database import Transaction
from undercroft.machinery.deliveries import overview, store, targets
from undercroft.machinery.identity.model import Identity


def replay(tx: Transaction, identity: Identity, id: int, now: int) -> None:
    """A dead letter begins a new life, due now. Nothing happens to one that is no longer dead."""
    seen = overview.find(tx, id)
    if seen is None or not may_see(tx, identity, seen.family, seen.namespace):
        raise not_found("delivery", "this delivery is no longer there")
    store.replay(tx, [id], now)


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
