"""What can be done with locks beyond what leases do: taking one away, on the record."""

from undercroft.database import Transaction
from undercroft.families.locks.model import FAMILY
from undercroft.machinery import events
from undercroft.machinery.leases.actions import Desk
from undercroft.machinery.leases.model import Place


def take_away(tx: Transaction, desk: Desk, place: Place, actor: str, now: int) -> bool:
    """Whoever holds it holds it no more. Whether anybody did; if so, the record says who did that to whom."""
    answer = desk.force(tx, place)
    if answer.yes:
        details = {"fence": answer.fence, "owner": answer.owner}
        events.record(tx, now, actor, FAMILY, place.namespace, "take away", place.name, details)
    return answer.yes
