"""What the front page shows, read in one go."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.deliveries import overview
from undercroft.machinery.deliveries.model import State
from undercroft.machinery.deliveries.overview import MOST_COUNTED, Closely, Paused, Places, Sight
from undercroft.machinery.identity.model import Identity

SHOWN = 20
MOST_BODY = 4_000


class Tally(NamedTuple):
    """A count that stops somewhere: `more` when there are more than that."""

    counted: int
    more: bool


class Overview(NamedTuple):
    due: Sight
    filed: Sight
    sending: Sight
    retrying: Sight
    dead: Sight
    targets: list[Paused]
    queues: list[Paused]
    sending_tally: Tally
    retrying_tally: Tally
    held_tally: Tally
    dead_tally: Tally


def read_overview(tx: Transaction, places: Places | None) -> Overview:
    due = overview.first(tx, State.SCHEDULED, places, SHOWN)
    room = SHOWN - len(due.rows)
    sending = overview.first(tx, State.SENDING, places, SHOWN)
    retrying = overview.retrying(tx, places, SHOWN)
    dead = overview.newest(tx, State.DEAD, places, SHOWN)
    held = Sight([], False) if places is None else overview.first(tx, State.HELD, places, SHOWN)
    return Overview(
        due,
        overview.filed(tx, places, room) if room else Sight([], True),
        sending,
        retrying,
        dead,
        overview.paused_targets(tx, places, SHOWN),
        overview.paused_queues(tx, places, SHOWN),
        _tally(sending, overview.count(tx, State.SENDING) if places is None else None),
        _tally(retrying, overview.count_retrying(tx) if places is None else None),
        _tally(held, overview.count(tx, State.HELD) if places is None else None),
        _tally(dead, overview.count(tx, State.DEAD) if places is None else None),
    )


def read_closely(tx: Transaction, identity: Identity, id: int) -> Closely | None:
    """None where it is not there, or not for this identity."""
    seen = overview.find(tx, id)
    if seen is None or not identity.covers(seen.family, seen.namespace):
        return None
    return overview.look_closely(tx, seen, MOST_BODY, SHOWN)


def places_of(identity: Identity) -> Places | None:
    """What the identity's scopes let it see; None is everything."""
    if identity.scopes is None:
        return None
    split = (scope.partition(":") for scope in identity.scopes)
    # No namespace holds a NUL, which PostgreSQL would not even compare.
    return tuple((family, namespace or None) for family, _, namespace in split if "\x00" not in namespace)


def _tally(sight: Sight, counted: int | None) -> Tally:
    if counted is None:
        return Tally(len(sight.rows), sight.more)
    return Tally(counted, counted >= MOST_COUNTED)
