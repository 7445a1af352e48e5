"""What failed: messages whose attempts are used up, which are dead deliveries; and how they are tried again."""

from undercroft.database import Transaction
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.sending import QUEUE, Occasion, queue_messages
from undercroft.families.messaging.store import SUBSCRIPTIONS
from undercroft.families.messaging.tables import Window
from undercroft.machinery.deliveries import listing, store, targets
from undercroft.machinery.deliveries.model import Delivery, State

PER_STEP = 500


def page(tx: Transaction, namespace: str, window: Window) -> list[Delivery]:
    """The newest first; one more than the limit where there is more."""
    queue = targets.find_queue(tx, FAMILY, namespace, QUEUE)
    if queue is None:
        return []
    return listing.in_order(tx, queue.id, State.DEAD, window.position, window.limit + 1, ascending=window.backwards)


def find(tx: Transaction, namespace: str, id: int) -> Delivery | None:
    queue = targets.find_queue(tx, FAMILY, namespace, QUEUE)
    found = listing.in_order(tx, queue.id, State.DEAD, id - 1, 1, ascending=True) if queue else []
    return found[0] if found and found[0].id == id else None


def requeue(tx: Transaction, namespace: str, ways: Ways, before: int | None, now: int) -> int | None:
    """Forget the newest dead ones older than this one, and send their subscriptions the next message; where to go on,
    None at the end. Who is no longer ready, or has a message under way, is only forgotten."""
    dead = page(tx, namespace, Window(PER_STEP - 1, before))
    store.delete(tx, [store.seen(one) for one in dead])
    rows = tx.each(
        f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions"
        " WHERE id IN (SELECT r.one FROM {rows}) AND namespace = :namespace",
        "one TEXT",
        [(id,) for id in {subscription_of(one) for one in dead}],
        namespace=namespace,
    )
    those = [one for row in rows if (one := SUBSCRIPTIONS.made(row)).is_ready and not one.under_way]
    queue_messages(tx, namespace, those, ways, Occasion(now))
    return dead[-1].id if len(dead) == PER_STEP else None


def subscription_of(delivery: Delivery) -> str:
    return delivery.name.partition("#")[0]
