"""Messages that are under way and may not be sent any more."""

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.model import Subscription
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import PENDING_LIMIT

# Of who has had more turns than this, the oldest have long had their end.
MOST_RECALLED = 1_000


def recall(tx: Transaction, subscription: Subscription) -> None:
    """Take back what is on its way, what is sent again included. What a courier has in its hands is not tried again
    if it fails: `settling` sees to that."""
    queue = targets.find_queue(tx, FAMILY, subscription.namespace, QUEUE)
    if queue is None or not subscription.turns:
        return
    turns = range(max(1, subscription.turns - MOST_RECALLED + 1), subscription.turns + 1)
    found = store.find_named(tx, queue.id, {f"{subscription.id}#{turn}" for turn in turns})
    store.delete(tx, [store.seen(one) for one in found if one.state < PENDING_LIMIT])
