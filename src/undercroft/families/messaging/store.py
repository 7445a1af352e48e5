"""The tables of messaging.

Whoever locks rows of several of them does so in this order, or two transactions on PostgreSQL wait for each other:
identities · rules (`rules.firing.hold_rules`) · subscriptions, several in one statement by their number · sets,
schedules and files, which are only kept from being removed. Deliveries that a courier settles and the run that a step
is of are locked before all of these.
"""

from collections.abc import Collection

from undercroft.database import Transaction
from undercroft.families.messaging.model import Behind, Binary, Message, MessageSet, Person, Run, Schedule, Subscription
from undercroft.families.messaging.rules.matching import Firing, Rule
from undercroft.families.messaging.tables import Table

SCHEDULES = Table("messaging_schedules", Schedule)
SETS = Table("messaging_sets", MessageSet)
MESSAGES = Table("messaging_messages", Message)
BINARIES = Table("messaging_binaries", Binary)
SUBSCRIPTIONS = Table("messaging_subscriptions", Subscription, "number", newest_first=True)
RUNS = Table("messaging_runs", Run, newest_first=True)
BEHIND = Table("messaging_behind", Behind, newest_first=True)
PERSONS = Table("messaging_identities", Person, "number")
RULES = Table("messaging_rules", Rule)
FIRINGS = Table("messaging_firings", Firing, newest_first=True)

READY_ROWS = "active = 1 AND completed = 0 AND process_status = 0"
"""What `Subscription.is_ready` says, as a condition on rows of messaging_subscriptions."""


def locked_subscriptions(tx: Transaction, numbers: Collection[int]) -> list[Subscription]:
    """As they are now, and so until the end of the transaction. Locked in one order, so that no two wait for each
    other."""
    rows = tx.each(
        f"SELECT {SUBSCRIPTIONS.columns} FROM messaging_subscriptions"
        " WHERE number IN (SELECT r.one FROM {rows}) ORDER BY number {locked}",
        "one BIGINT",
        [(number,) for number in sorted(set(numbers))],
    )
    return [SUBSCRIPTIONS.made(row) for row in rows]
