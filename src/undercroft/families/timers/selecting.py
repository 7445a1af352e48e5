"""Many jobs of a collection at once: list, delete, move, replay, pause. Each action is one bounded transaction."""

from undercroft.base.clock import END_OF_TIME
from undercroft.base.refusals import invalid
from undercroft.database import Transaction
from undercroft.families.timers.actions import FAMILY
from undercroft.families.timers.runs import end_runs
from undercroft.machinery.deliveries import listing, store, targets
from undercroft.machinery.deliveries.listing import Selection
from undercroft.machinery.deliveries.model import PENDING_LIMIT, PUBLIC_STATES, Delivery, Kind, State, Target
from undercroft.machinery.deliveries.store import Seen

MOST_PER_PAGE = 1_000
MOST_SELECTED = 100_000

_STATES: dict[str, tuple[int, ...]] = {
    "scheduled": (State.FILED, State.SCHEDULED),
    "retrying": (State.SCHEDULED,),
    "sending": (State.SENDING,),
    "held": (State.HELD,),
    "delivered": (State.DELIVERED,),
    "dead": (State.DEAD,),
    "pending": (State.FILED, State.SCHEDULED, State.SENDING, State.HELD),
}


def select(
    queue: int, state: str | None, after: int | None, before: int | None, target: int | None = None
) -> Selection:
    """Raises Refusal(INVALID, "query") for a state that there is not, or moments that there are not."""
    if state is not None and state not in _STATES:
        raise invalid("query", f"there is no state {state!r}; states are: {', '.join(PUBLIC_STATES)}, pending")
    if not all(moment is None or 0 <= moment <= END_OF_TIME for moment in (after, before)):
        raise invalid("query", "after and before are in milliseconds since 1970, up to the year 9999")
    retrying = {"scheduled": False, "retrying": True}.get(state or "")
    return Selection(queue, _STATES.get(state or "", tuple(State)), after, before, target, retrying)


def list_jobs(
    tx: Transaction, place: tuple[str, str], wanted: Selection, limit: int
) -> tuple[list[Delivery], dict[int, Target], tuple[int, int] | None]:
    """A page of jobs, their routes by id, and the next page's cursor. `wanted.queue` is filled in here."""
    queue = targets.find_queue(tx, FAMILY, *place)
    if queue is None:
        return [], {}, None
    jobs, cursor = listing.page(tx, wanted._replace(queue=queue.id), limit)
    return jobs, targets.targets_by_id(tx, {job.target for job in jobs}), cursor


Selected = tuple[Seen, int, int]
"""A row as it was chosen, its planned_at and its kind."""


def collect(tx: Transaction, place: tuple[str, str], wanted: Selection) -> list[Selected]:
    """Every job selected, taken at one moment, before any of them is changed.

    Raises Refusal(INVALID, "selection") beyond MOST_SELECTED.
    """
    queue = targets.find_queue(tx, FAMILY, *place)
    found: list[Selected] = []
    cursor: tuple[int, int] | None = (-1, -1)
    while queue is not None and cursor is not None:
        page, cursor = listing.page(tx, wanted._replace(queue=queue.id, cursor=cursor), MOST_PER_PAGE)
        found += [(store.seen(job), job.planned_at, job.kind) for job in page]
        if len(found) > MOST_SELECTED:
            raise invalid(
                "selection", f"more than {MOST_SELECTED} jobs are selected; narrow it with after= and before="
            )
    return found


def delete_selected(tx: Transaction, selected: list[Selected]) -> int:
    """How many are gone. One that is being delivered just now, itself or by a run, or that has begun another life
    since it was selected, is left alone."""
    rows = [row for row, _, _ in selected]
    busy = end_runs(tx, [id for id, _, _ in rows])
    return len(store.delete(tx, [row for row in rows if row[0] not in busy]))


def move_selected(tx: Transaction, selected: list[Selected], to: int | None, shift: int | None, now: int) -> int:
    """To one moment, or each by `shift` ms. Recurring jobs keep to their schedule; what has had its end stays so."""
    moved = [
        (row, to if to is not None else min(max(planned_at + (shift or 0), 0), END_OF_TIME))
        for row, planned_at, kind in selected
        if kind != Kind.TICK and row[2] < PENDING_LIMIT
    ]
    return len(store.move(tx, moved, now))


def pause_collection(tx: Transaction, place: tuple[str, str], paused: bool, now: int) -> None:
    """Nothing of the collection fires while it is paused; what falls due is held. It may still be empty."""
    id = targets.queue_id(tx, FAMILY, *place, now=now)
    targets.pause_queue(tx, id, now if paused else None)
