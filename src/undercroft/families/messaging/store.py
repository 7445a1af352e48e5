"""The tables of messaging."""

from undercroft.families.messaging.model import Behind, Binary, Message, MessageSet, Person, Run, Schedule, Subscription
from undercroft.families.messaging.tables import Table

SCHEDULES = Table("messaging_schedules", Schedule)
SETS = Table("messaging_sets", MessageSet)
MESSAGES = Table("messaging_messages", Message)
BINARIES = Table("messaging_binaries", Binary)
SUBSCRIPTIONS = Table("messaging_subscriptions", Subscription, "number", newest_first=True)
RUNS = Table("messaging_runs", Run, newest_first=True)
BEHIND = Table("messaging_behind", Behind, newest_first=True)
PERSONS = Table("messaging_identities", Person, "number")
