"""Messages that are under way and may not be sent any more."""

from collections import Counter

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.model import Subscription
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import PENDING_LIMIT

# Of who has had more turns than this, the oldest have long had their end.
MOST_RECALLED = 1_000


class _OfRun(msgspec.Struct):
    """The part of `sending.Sent` that counts here."""

    run: int = 0


_run = msgspec.json.Decoder(_OfRun)


def recall(tx: Transaction, subscription: Subscription) -> None:
    """Take back what is on its way, what is sent again included. What a courier has in its hands is not tried again
    if it fails: `settling` sees to that."""
    queue = targets.find_queue(tx, FAMILY, subscription.namespace, QUEUE)
    if queue is None or not subscription.turns:
        return
    turns = range(max(1, subscription.turns - MOST_RECALLED + 1), subscription.turns + 1)
    found = store.find_named(tx, queue.id, {f"{subscription.id}#{turn}" for turn in turns})
    gone = store.delete(tx, [store.seen(one) for one in found if one.state < PENDING_LIMIT])
    # What has not been tried once makes room for the next ones of its run, as if it had.
    runs = [_run.decode(one.options).run for one in found if one.id in gone and one.options and not one.attempts]
    note_left(tx, Counter(run for run in runs if run))


def note_left(tx: Transaction, left: Counter[int]) -> None:
    """So many messages of each run do not wait for their first attempt any more."""
    tx.each(
        "UPDATE messaging_runs SET left_house = left_house + r.count FROM {rows} WHERE messaging_runs.id = r.id",
        "id BIGINT, count BIGINT",
        list(left.items()),
    )
