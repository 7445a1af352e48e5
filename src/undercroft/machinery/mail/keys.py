"""The rows of `mail_keys`: whoever sends a mail once more under the same key within a day, sends it once."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.mail.schedule import KEYS_KEPT


class Key(NamedTuple):
    namespace: str
    key: str
    digest: str
    mail: str


Known = dict[tuple[str, str], tuple[str, str]]
"""(namespace, key) → (digest, mail)"""


def find(tx: Transaction, wanted: set[tuple[str, str]], now: int) -> Known:
    """Those of these that were used within the last day."""
    rows = tx.each(
        "SELECT namespace, key, digest, mail FROM mail_keys"
        " WHERE (namespace, key) IN (SELECT r.namespace, r.key FROM {rows}) AND created_at > :since",
        "namespace TEXT, key TEXT",
        list(wanted),
        since=now - KEYS_KEPT,
    )
    return {(namespace, key): (digest, mail) for namespace, key, digest, mail in rows}


def take(tx: Transaction, keys: list[Key], now: int) -> set[tuple[str, str]]:
    """Use these; those that were free. One that is older than a day is.

    In order: of two who take the same ones at once, the second waits for the first, and neither for the other.
    """
    rows = tx.each(
        """
        INSERT INTO mail_keys (namespace, key, digest, mail, created_at)
        SELECT r.*, CAST(:now AS BIGINT) FROM {rows} WHERE true
        ON CONFLICT (namespace, key) DO UPDATE
        SET digest = excluded.digest, mail = excluded.mail, created_at = excluded.created_at
        WHERE mail_keys.created_at <= :expired
        RETURNING namespace, key
        """,
        "namespace TEXT, key TEXT, digest TEXT, mail TEXT",
        sorted(keys),
        now=now,
        expired=now - KEYS_KEPT,
    )
    return {(namespace, key) for namespace, key in rows}


def forget(tx: Transaction, now: int, limit: int) -> int:
    """Forget up to `limit` of those that are older than a day; how many."""
    return tx.run(
        "DELETE FROM mail_keys WHERE (namespace, key) IN"
        " (SELECT namespace, key FROM mail_keys WHERE created_at <= :expired"
        " ORDER BY created_at LIMIT :limit {skip_locked})",
        expired=now - KEYS_KEPT,
        limit=limit,
    )
