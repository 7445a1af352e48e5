"""Why a job waits or died, in the words of timers: a target is a route here, a queue a collection."""

from undercroft.machinery.deliveries.model import LANE_FULL, QUEUE_PAUSED, TARGET_PAUSED, TARGET_REMOVED

_WORDS = {
    TARGET_REMOVED: "its route was removed",
    TARGET_PAUSED: "its route is paused",
    QUEUE_PAUSED: "its collection is paused",
    LANE_FULL: "its route has more than enough waiting",
}


def worded(reason: str | None) -> str | None:
    return reason if reason is None else _WORDS.get(reason, reason)
