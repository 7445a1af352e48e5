"""Who did what to entries, rules and kept files: written down in the transaction that does it."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from undercroft.database import Transaction
from undercroft.families.sync.model import FAMILY
from undercroft.machinery import events

T = TypeVar("T")

HOUSE = "undercroft"
"""Who acts where nobody has asked: what the settings declare, an entry whose root is gone."""


class Deed(NamedTuple):
    actor: str
    now: int
    action: str
    """As a verb: `add entry`."""
    subject: str
    details: dict[str, Any] | None = None
    """Never with a secret in it: of options their names alone."""


def recorded(tx: Transaction, deed: Deed, act: Callable[..., T], *arguments: Any) -> T:
    """Do it, and write down who did."""
    result = act(tx, *arguments)
    record(tx, deed)
    return result


def record(tx: Transaction, deed: Deed) -> None:
    events.record(tx, deed.now, deed.actor, FAMILY, None, deed.action, deed.subject, deed.details)
