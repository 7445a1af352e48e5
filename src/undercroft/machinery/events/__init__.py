"""What was done by whom: append-only, written in the transaction that does it. For audits, and for pages that tell."""

from typing import Any, NamedTuple

import msgspec

from undercroft.database import Transaction


class Event(NamedTuple):
    id: int
    at: int
    actor: str
    """A user's e-mail address, or `anonymous`."""
    family: str
    namespace: str | None
    action: str
    """What was done, as a verb: `release`, `remove`."""
    subject: str
    """To what: a lock's name, an address."""
    details: str | None
    """JSON."""


def record(
    tx: Transaction,
    now: int,
    actor: str,
    family: str,
    namespace: str | None,
    action: str,
    subject: str,
    details: dict[str, Any] | None = None,
) -> None:
    """Never with a secret in it."""
    tx.run(
        "INSERT INTO events (at, actor, family, namespace, action, subject, details)"
        " VALUES (:at, :actor, :family, :namespace, :action, :subject, :details)",
        at=now,
        actor=actor,
        family=family,
        namespace=namespace,
        action=action,
        subject=subject,
        details=None if details is None else msgspec.json.encode(details).decode(),
    )


def newest(tx: Transaction, before: int | None, family: str | None, limit: int) -> list[Event]:
    """The last ones first, those before this id."""
    # Two statements: one for both would be planned for either, and walk past what other families have done.
    of_family = "" if family is None else "family = :family AND "
    parameters: dict[str, Any] = {} if family is None else {"family": family}
    rows = tx.all(
        "SELECT id, at, actor, family, namespace, action, subject, details FROM events"
        f" WHERE {of_family}id < :before ORDER BY id DESC LIMIT :limit",
        before=2**62 if before is None else before,
        limit=limit,
        **parameters,
    )
    return [Event._make(row) for row in rows]
