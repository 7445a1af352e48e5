"""The rows of `mail_suppressions`: whom no mail goes to any more, because they said so or can't be reached."""

from collections.abc import Iterable
from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.mail.addresses import key_of


class Suppression(NamedTuple):
    address: str
    reason: str | None
    created_at: int


def put(tx: Transaction, namespace: str, addresses: Iterable[str], reason: str | None, now: int) -> None:
    """Those that are there get this reason. In order, as whoever else puts several."""
    tx.each(
        "INSERT INTO mail_suppressions (namespace, address, reason, created_at)"
        " SELECT CAST(:namespace AS TEXT), r.address, CAST(:reason AS TEXT), CAST(:now AS BIGINT) FROM {rows}"
        " WHERE true ON CONFLICT (namespace, address) DO UPDATE SET reason = excluded.reason",
        "address TEXT",
        [(address,) for address in sorted({key_of(address) for address in addresses})],
        namespace=namespace,
        reason=reason,
        now=now,
    )


def remove(tx: Transaction, namespace: str, address: str) -> bool:
    return bool(
        tx.run(
            "DELETE FROM mail_suppressions WHERE namespace = :namespace AND address = :address",
            namespace=namespace,
            address=key_of(address),
        )
    )


def among(tx: Transaction, places: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (namespace, address) that are suppressed; addresses by their `key_of`."""
    rows = tx.each(
        "SELECT namespace, address FROM mail_suppressions"
        " WHERE (namespace, address) IN (SELECT r.namespace, r.address FROM {rows})",
        "namespace TEXT, address TEXT",
        list(places),
    )
    return {(namespace, address) for namespace, address in rows}


def page(tx: Transaction, namespace: str, after: str, limit: int) -> list[Suppression]:
    """By address, past this one."""
    rows = tx.all(
        "SELECT address, reason, created_at FROM mail_suppressions WHERE namespace = :namespace AND address > :after"
        " ORDER BY address LIMIT :limit",
        namespace=namespace,
        after=after,
        limit=limit,
    )
    return [Suppression._make(row) for row in rows]
