"""What the front page shows, read in one go."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.deliveries import overview
from undercroft.machinery.deliveries.model import State
from undercroft.machinery.deliveries.overview import MOST_COUNTED, Closely, Paused, Places, Sight
from undercroft.machinery.identity import namespaces
from undercroft.machinery.identity.model import ADMIN_TEAM, Identity

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


def read_overview(tx: Transaction, identity: Identity) -> Overview:
    places = places_of(tx, identity)
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
    if seen is None or not may_see(tx, identity, seen.family, seen.namespace):
        return None
    return overview.look_closely(tx, seen, MOST_BODY, SHOWN)


def may_see(tx: Transaction, identity: Identity, family: str, namespace: str) -> bool:
    return identity.covers(family, namespace) and namespaces.may_enter(tx, identity, namespace)


def sees_all(identity: Identity) -> bool:
    return identity.scopes is None and ADMIN_TEAM in identity.teams


def places_of(tx: Transaction, identity: Identity) -> Places | None:
    """What the identity's scopes and teams let it see; None is everything."""
    if sees_all(identity):
        return None
    # No namespace holds a NUL, which PostgreSQL would not even compare.
    split = [scope.partition(":") for scope in identity.scopes or () if "\x00" not in scope]
    if ADMIN_TEAM in identity.teams:
        return tuple((family, namespace or None) for family, _, namespace in split)
    own = namespaces.of_identity(tx, identity)
    if identity.scopes is None:
        return tuple((None, namespace) for namespace in own)
    whole = {family for family, _, namespace in split if not namespace}
    narrow = [(family, namespace) for family, _, namespace in split if namespace in own]
    return (*narrow, *((family, namespace) for family in sorted(whole) for namespace in own))


def _tally(sight: Sight, counted: int | None) -> Tally:
    if counted is None:
        return Tally(len(sight.rows), sight.more)
    return Tally(counted, counted >= MOST_COUNTED)
