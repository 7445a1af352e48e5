"""What Prometheus is told of messages: counted once what they count is durable."""

from collections import Counter as Tally
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge

from undercroft.database import Database, Transaction
from undercroft.families.messaging.model import SEND

TOPIC = "messaging figures"
_MESSAGES = Counter(
    "undercroft_messaging_messages_total",
    "Messages of subscriptions, by what became of them; again: how often one was to be tried again",
    ["outcome"],
    registry=REGISTRY,
)
_RULES = Counter("undercroft_messaging_rules_total", "What rules did", ["outcome"], registry=REGISTRY)
_RUNS = Gauge("undercroft_messaging_runs", "Sends that are not through with their subscribers", [], registry=REGISTRY)
_LEFT = Gauge(
    "undercroft_messaging_under_way", "Messages of these sends whose first attempt is still to come", [],
    registry=REGISTRY,
)  # fmt: skip


def tell_messages(tx: Transaction, tally: Tally[str]) -> None:
    tx.tell(TOPIC, [(_MESSAGES, outcome, count) for outcome, count in tally.items() if count])


def tell_rules(tx: Transaction, tally: Tally[str]) -> None:
    tx.tell(TOPIC, [(_RULES, outcome, count) for outcome, count in tally.items() if count])


class Figures:
    """`step` is what the loop does: it looks how far sends are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.listen(TOPIC, _count)

    async def step(self, _now: int) -> bool:
        runs, left = await self._database.read(_how_far)
        _RUNS.set(runs)
        _LEFT.set(left)
        return False


def _count(told: list[Any]) -> None:
    for counter, outcome, count in told:
        counter.labels(outcome).inc(count)


def _how_far(tx: Transaction) -> tuple[int, int]:
    row = tx.one(
        "SELECT COUNT(*), COALESCE(SUM(queued - left_house), 0) FROM messaging_runs"
        " WHERE finished_at IS NULL AND purpose = :send",
        send=SEND,
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)
