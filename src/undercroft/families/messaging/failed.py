"""What failed: messages whose attempts are used up, which are dead deliveries; and how they are tried again."""

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.sending import Occasion, Sent, queue_messages
from undercroft.families.messaging.store import locked_subscriptions
from undercroft.families.messaging.tables import Window
from undercroft.machinery.deliveries import listing, store, targets
from undercroft.machinery.deliveries.model import Delivery, Kind

PER_STEP = 500
_sent = msgspec.json.Decoder(Sent)


def page(tx: Transaction, namespace: str, window: Window) -> list[Delivery]:
    """The newest first; one more than the limit where there is more."""
    queue = targets.find_queue(tx, FAMILY, namespace, QUEUE)
    if queue is None:
        return []
    return listing.dead(tx, queue.id, window.position, window.limit + 1, ascending=window.backwards)


def find(tx: Transaction, namespace: str, id: int) -> Delivery | None:
    queue = targets.find_queue(tx, FAMILY, namespace, QUEUE)
    return listing.dead_one(tx, queue.id, id) if queue else None


def requeue(tx: Transaction, namespace: str, ways: Ways, before: int | None, now: int) -> int | None:
    """Forget the newest dead ones older than this one, and try them anew: their subscriptions are sent the next
    message, or, where it was a resend, the last one; where to go on, None at the end. Who is no longer ready, or has
    a message under way, is only forgotten."""
    dead = page(tx, namespace, Window(PER_STEP - 1, before))
    _try_anew(tx, namespace, ways, dead, now)
    return dead[-1].id if len(dead) == PER_STEP else None


def replay(tx: Transaction, dead: Delivery, now: int, ways: Ways) -> None:
    """The hook of that name."""
    [queue] = targets.queues_by_id(tx, {dead.queue}).values()
    if dead.kind == Kind.OUTWARD:
        _try_anew(tx, queue.namespace, ways, [dead], now)
    else:
        store.replay(tx, [dead.id], now)


def _try_anew(tx: Transaction, namespace: str, ways: Ways, dead: list[Delivery], now: int) -> None:
    store.delete(tx, [store.seen(one) for one in dead])
    sents = [_sent.decode(one.options) for one in dead if one.options]
    ready = [one for one in locked_subscriptions(tx, [sent.number for sent in sents]) if one.is_ready]
    turns = {sent.number for sent in sents if sent.turn}
    again = {sent.number for sent in sents if not sent.turn}
    free = [one for one in ready if one.number in turns and not one.under_way]
    queue_messages(tx, namespace, free, ways, Occasion(now))
    resends = [one for one in ready if one.number in again - {each.number for each in free}]
    queue_messages(tx, namespace, resends, ways, Occasion(now, resend=True))


def subscription_of(delivery: Delivery) -> str:
    return delivery.name.partition("#")[0]
