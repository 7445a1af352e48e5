"""The rows of `targets` and `queues`: where deliveries go, and the named lines in which they wait."""

from typing import Any

import msgspec

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Queue, Target, TargetSettings

_TARGET = (
    "id, family, namespace, name, transport, settings, concurrency, rate, paused_at, pause_reason, removed_at, version"
)
_QUEUE = "id, family, namespace, name, paused_at"
CHANGED = "targets changed"
"""The topic on which committed transactions tell couriers of target ids: what was claimed for them is outdated."""

QUEUES_CHANGED = "queues changed"
"""The same with queue ids."""

_settings = msgspec.json.Decoder(TargetSettings)


def put_target(
    tx: Transaction,
    key: tuple[str, str, str],
    transport: str,
    settings: TargetSettings,
    *,
    concurrency: int,
    rate: int | None,
    paused_at: int | None,
    now: int,
) -> None:
    """Make the target (family, namespace, name) or give it new settings; one that was removed is there again.

    One that is paused and stays so keeps the moment and the reason.
    """
    row = tx.one(
        """
        INSERT INTO targets (family, namespace, name, transport, settings, concurrency, rate, paused_at, created_at)
        VALUES (:family, :namespace, :name, :transport, :settings, :concurrency, :rate, :paused_at, :now)
        ON CONFLICT (family, namespace, name) DO UPDATE
        SET transport = :transport, settings = :settings, concurrency = :concurrency, rate = :rate,
            paused_at = CASE WHEN CAST(:paused_at AS BIGINT) IS NULL OR targets.removed_at IS NOT NULL THEN :paused_at
                             ELSE COALESCE(targets.paused_at, :paused_at) END,
            pause_reason = CASE WHEN CAST(:paused_at AS BIGINT) IS NULL OR targets.removed_at IS NOT NULL THEN NULL
                                ELSE targets.pause_reason END,
            removed_at = NULL, version = targets.version + 1
        RETURNING id
        """,
        family=key[0],
        namespace=key[1],
        name=key[2],
        transport=transport,
        settings=msgspec.json.encode(settings).decode(),
        concurrency=concurrency,
        rate=rate,
        paused_at=paused_at,
        now=now,
    )
    assert row is not None, "put in or changed"
    tx.tell(CHANGED, [row[0]])


def find_target(
    tx: Transaction, family: str, namespace: str, name: str, *, even_removed: bool = False
) -> Target | None:
    which = "" if even_removed else " AND removed_at IS NULL"
    row = tx.one(
        f"SELECT {_TARGET} FROM targets WHERE family = :family AND namespace = :namespace AND name = :name{which}",
        family=family,
        namespace=namespace,
        name=name,
    )
    return _target(row) if row else None


def target_ids(tx: Transaction, family: str, names: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(namespace, name) → id of those that exist."""
    rows = tx.each(
        "SELECT namespace, name, id FROM targets WHERE family = :family AND removed_at IS NULL"
        " AND (namespace, name) IN (SELECT namespace, name FROM {rows})",
        "namespace TEXT, name TEXT",
        list(names),
        family=family,
    )
    return {(namespace, name): id for namespace, name, id in rows}


Line = tuple[str, str, str]
"""(namespace, queue, target), by their names."""


def find_lines(tx: Transaction, family: str, lines: set[Line]) -> dict[Line, tuple[int | None, int | None]]:
    """The ids of each line's queue and target; None for what does not exist. One query, as each create asks it."""
    rows = tx.each(
        """
        SELECT r.namespace, r.queue, r.target, queues.id, targets.id FROM {rows}
        LEFT JOIN queues ON queues.family = :family AND queues.namespace = r.namespace AND queues.name = r.queue
        LEFT JOIN targets ON targets.family = :family AND targets.namespace = r.namespace
                          AND targets.name = r.target AND targets.removed_at IS NULL
        """,
        "namespace TEXT, queue TEXT, target TEXT",
        list(lines),
        family=family,
    )
    return {row[:3]: row[3:] for row in rows}


def targets_by_id(tx: Transaction, ids: set[int]) -> dict[int, Target]:
    """Removed ones included."""
    rows = tx.each(
        f"SELECT {_TARGET} FROM targets WHERE id IN (SELECT id FROM {{rows}})", "id BIGINT", [(id,) for id in ids]
    )
    return {row[0]: _target(row) for row in rows}


def list_targets(tx: Transaction, family: str, namespace: str, after: str, limit: int) -> list[Target]:
    rows = tx.all(
        f"SELECT {_TARGET} FROM targets WHERE family = :family AND namespace = :namespace AND name > :after"
        " AND removed_at IS NULL ORDER BY name LIMIT :limit",
        family=family,
        namespace=namespace,
        after=after,
        limit=limit,
    )
    return [_target(row) for row in rows]


def pause_target(tx: Transaction, id: int, paused_at: int | None, reason: str | None) -> None:
    tx.tell(CHANGED, [id])
    tx.run(
        "UPDATE targets SET paused_at = :paused_at, pause_reason = :reason WHERE id = :id",
        id=id,
        paused_at=paused_at,
        reason=reason,
    )


def remove_target(tx: Transaction, id: int, now: int) -> None:
    tx.tell(CHANGED, [id])
    tx.run("UPDATE targets SET removed_at = :now WHERE id = :id", id=id, now=now)


def has_pending(tx: Transaction, target: int) -> bool:
    # Asked for as the first of an order, so that PostgreSQL enters the index where it would else try its luck in rows.
    row = tx.one(
        "SELECT target FROM deliveries WHERE target >= :target AND state < 4 ORDER BY target LIMIT 1", target=target
    )
    return row is not None and row[0] == target


def queue_id(tx: Transaction, family: str, namespace: str, name: str, now: int) -> int:
    """The queue's id; made when it is new."""
    found = find_queue(tx, family, namespace, name)
    if found is not None:
        return found.id
    tx.run(
        "INSERT INTO queues (family, namespace, name, created_at) VALUES (:family, :namespace, :name, :now)"
        " ON CONFLICT DO NOTHING",
        family=family,
        namespace=namespace,
        name=name,
        now=now,
    )
    made = find_queue(tx, family, namespace, name)
    assert made is not None, "put in above, and queues are never taken out"
    return made.id


def find_queue(tx: Transaction, family: str, namespace: str, name: str) -> Queue | None:
    row = tx.one(
        f"SELECT {_QUEUE} FROM queues WHERE family = :family AND namespace = :namespace AND name = :name",
        family=family,
        namespace=namespace,
        name=name,
    )
    return Queue._make(row) if row else None


def queues_by_id(tx: Transaction, ids: set[int]) -> dict[int, Queue]:
    rows = tx.each(
        f"SELECT {_QUEUE} FROM queues WHERE id IN (SELECT id FROM {{rows}})", "id BIGINT", [(id,) for id in ids]
    )
    return {row[0]: Queue._make(row) for row in rows}


def queues_of(tx: Transaction, family: str, namespace: str) -> list[Queue]:
    rows = tx.all(
        f"SELECT {_QUEUE} FROM queues WHERE family = :family AND namespace = :namespace ORDER BY id",
        family=family,
        namespace=namespace,
    )
    return [Queue._make(row) for row in rows]


def pause_queue(tx: Transaction, id: int, paused_at: int | None) -> None:
    tx.tell(QUEUES_CHANGED, [id])
    tx.run("UPDATE queues SET paused_at = :paused_at WHERE id = :id", id=id, paused_at=paused_at)


def _target(row: tuple[Any, ...]) -> Target:
    target = Target._make(row)
    return target._replace(settings=_settings.decode(target.settings))  # type: ignore[arg-type]
