"""Dead letters: jobs whose attempts are used up, whose receiver is gone, or whose route was removed."""

from undercroft.base.refusals import invalid
from undercroft.database import Transaction
from undercroft.families.timers.actions import FAMILY
from undercroft.families.timers.routes import find_any_route
from undercroft.families.timers.selecting import MOST_SELECTED
from undercroft.machinery.deliveries import listing, store, targets
from undercroft.machinery.deliveries.listing import Selection
from undercroft.machinery.deliveries.model import Delivery, Queue, State, Target

Cursor = tuple[int, int, int]
"""(queue, day, id)"""


def list_dead(
    tx: Transaction, db: str, collection: str | None, route: str | None, cursor: Cursor, limit: int
) -> tuple[list[tuple[Queue, Delivery]], dict[int, Target], Cursor | None]:
    """A page of dead letters, collection by collection."""
    target = None
    if route is not None:
        found = find_any_route(tx, db, route)
        if found is None:
            return [], {}, None
        target = found.id
    letters: list[tuple[Queue, Delivery]] = []
    following: Cursor | None = None
    for queue in targets.queues_of(tx, FAMILY, db):
        if queue.id < cursor[0] or (collection is not None and queue.name != collection):
            continue
        if len(letters) == limit:
            following = (queue.id, -1, -1)
            break
        start = cursor[1:] if queue.id == cursor[0] else (-1, -1)
        wanted = Selection(queue.id, (State.DEAD,), target=target, cursor=start)
        page, rest = listing.page(tx, wanted, limit - len(letters))
        letters += [(queue, letter) for letter in page]
        if rest is not None:
            following = (queue.id, *rest)
            break
    return letters, targets.targets_by_id(tx, {letter.target for _, letter in letters}), following


def find_dead(
    tx: Transaction,
    db: str,
    collection: str | None,
    route: str | None,
    ids: set[str] | None,
    died_from: int | None,
    died_to: int | None,
) -> list[int]:
    """The row ids of the dead letters meant: by job id, or by when they died ([from, to)).

    Raises Refusal(INVALID, "selection") beyond MOST_SELECTED.
    """
    if ids is not None and len(ids) > MOST_SELECTED:
        raise invalid("selection", f"{MOST_SELECTED} ids at the most in one request")
    found: list[int] = []
    cursor: Cursor | None = (-1, -1, -1)
    while cursor is not None:
        letters, _, cursor = (
            list_dead(tx, db, collection, route, cursor, 1_000)
            if ids is None
            else (_by_name(tx, db, collection, route, ids), {}, None)
        )
        found += [
            letter.id
            for _, letter in letters
            if (died_from is None or letter.due_at >= died_from) and (died_to is None or letter.due_at < died_to)
        ]
        if len(found) > MOST_SELECTED:
            raise invalid("selection", f"more than {MOST_SELECTED} dead letters are meant; narrow it with from and to")
    return found


def _by_name(
    tx: Transaction, db: str, collection: str | None, route: str | None, ids: set[str]
) -> list[tuple[Queue, Delivery]]:
    """Looked up one by one, however many others are dead."""
    target = find_any_route(tx, db, route) if route is not None else None
    letters = [
        (queue, letter)
        for queue in targets.queues_of(tx, FAMILY, db)
        if collection in (None, queue.name)
        for letter in store.find_named(tx, queue.id, ids)
    ]
    return [
        (queue, letter)
        for queue, letter in letters
        if letter.state == State.DEAD and (route is None or (target is not None and letter.target == target.id))
    ]
