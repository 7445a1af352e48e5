"""What is written down of accounts for those who look into it later."""

from typing import Any

from undercroft.database import Transaction
from undercroft.machinery import events

FAMILY = "accounts"
NOBODY = "anonymous"


def record(
    tx: Transaction, now: int, actor: str, action: str, subject: str, details: dict[str, Any] | None = None
) -> None:
    """`actor`: the e-mail of who did it, NOBODY where that is not known. No secret belongs into `details`."""
    events.record(tx, now, actor, FAMILY, None, action, subject, details)
