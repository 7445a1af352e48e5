"""Timers: call this webhook at that moment. The family's only door."""

from undercroft.database import Database
from undercroft.families.timers.actions import FAMILY
from undercroft.families.timers.guide import GUIDE
from undercroft.families.timers.http import operations
from undercroft.families.timers.refusing import refuse
from undercroft.families.timers.runs import spawn_due
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.model import Delivery, Queue, Target
from undercroft.machinery.deliveries.webhook import header_safe
from undercroft.machinery.family import Family


def family(database: Database, default_scheme: str) -> Family:
    """`default_scheme`: http or https, for a webhook_url without one."""
    return Family(
        name=FAMILY,
        operations=operations(database, default_scheme),
        refuse=refuse,
        prefixes=("job", "route", "dead", "collection"),
        hooks=Hooks(headers=_headers, due=spawn_due),
        guide=GUIDE,
    )


def _headers(delivery: Delivery, queue: Queue, target: Target) -> dict[str, str]:
    """The contract's X-Undercroft headers: whatever is not printable ASCII, and %, is percent-encoded."""
    return {
        "X-Undercroft-Job": header_safe(delivery.name),
        "X-Undercroft-Db": header_safe(queue.namespace),
        "X-Undercroft-Collection": header_safe(queue.name),
        "X-Undercroft-Route": header_safe(target.name),
        "X-Undercroft-Due": str(delivery.planned_at),
        "X-Undercroft-Attempt": str(delivery.attempts + 1),
    }


__all__ = ["FAMILY", "family"]
