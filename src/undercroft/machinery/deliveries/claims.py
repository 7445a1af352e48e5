"""What couriers do to rows: read what falls due, claim it, settle it, hold it, give it back.

Prefetch is a hint, the claim is the truth; a claim is a lease, and settling is fenced by its number.

Where rows are named by their ids, the state is only checked: `+state` keeps planners from walking the index of all
rows in that state instead of looking the few ids up.
"""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.machinery.deliveries.model import Delivery, Outcome, State
from undercroft.machinery.deliveries.policy import Verdict
from undercroft.machinery.deliveries.store import COLUMNS, DUE

Due = tuple[int, int, int]
"""(due_at, id, target)"""


class Share(NamedTuple):
    """Which rows a node looks for: those whose id leaves its rank when divided by the number of nodes."""

    rank: int = 0
    nodes: int = 1


def falling_due(tx: Transaction, after: tuple[int, int], until: int, share: Share, limit: int) -> list[Due]:
    """What of the node's share falls due up to `until`, past (due_at, id), soonest first."""
    return tx.all(
        """
        SELECT due_at, id, target FROM deliveries
        WHERE state = 1 AND due_at <= :until AND (due_at, id) > (:due_at, :id) AND id % :nodes = :rank
        ORDER BY due_at, id LIMIT :limit
        """,
        until=until,
        due_at=after[0],
        id=after[1],
        nodes=share.nodes,
        rank=share.rank,
        limit=limit,
    )


def overdue(
    tx: Transaction, after: tuple[int, int], until: int, of_all_until: int, share: Share, limit: int
) -> list[Due]:
    """What of the node's share was due by `until`, and of everybody's by `of_all_until`, past (due_at, id)."""
    return tx.all(
        """
        SELECT due_at, id, target FROM deliveries
        WHERE state = 1 AND due_at <= :until AND (due_at, id) > (:due_at, :id)
          AND (due_at <= :of_all_until OR id % :nodes = :rank)
        ORDER BY due_at, id LIMIT :limit
        """,
        until=until,
        of_all_until=of_all_until,
        due_at=after[0],
        id=after[1],
        nodes=share.nodes,
        rank=share.rank,
        limit=limit,
    )


def claim(tx: Transaction, ids: list[int], node: str, now: int, lease_until: int) -> list[Delivery]:
    """Take those of these that are still scheduled and due; `due_at` is then the end of the lease.

    `lease_until` is this claim's alone: where the answer to a commit is lost and the claim runs once more, it finds
    by that what it took the first time.
    """
    rows = tx.each(
        f"""
        UPDATE deliveries SET state = 2, claims = claims + 1, claimed_by = :node, due_at = :lease_until
        WHERE id IN (SELECT id FROM deliveries
                     WHERE id IN (SELECT id FROM {{rows}})
                       AND (+state = 1 AND due_at <= :now
                            OR +state = 2 AND claimed_by = :node AND due_at = :lease_until) {{skip_locked}})
        RETURNING {COLUMNS}
        """,
        "id BIGINT",
        [(id,) for id in ids],
        node=node,
        now=now,
        lease_until=lease_until,
    )
    return [Delivery._make(row) for row in rows]


def settle(tx: Transaction, settled: list[tuple[Delivery, Verdict]]) -> set[int]:
    """Write the verdicts down; the ids whose claim still held. One attempt more each."""
    rows = tx.each(
        """
        UPDATE deliveries SET state = r.state, due_at = r.due_at, reason = r.reason, attempts = attempts + 1
        FROM {rows}
        WHERE deliveries.id = r.id AND +deliveries.state = 2 AND deliveries.claims = r.claims
        RETURNING deliveries.id, deliveries.due_at, deliveries.target, deliveries.state
        """,
        "id BIGINT, claims BIGINT, state BIGINT, due_at BIGINT, reason TEXT",
        [
            (delivery.id, delivery.claims, int(verdict.state), verdict.due_at, verdict.reason)
            for delivery, verdict in settled
        ],
    )
    tx.tell(DUE, [(due_at, id, target) for id, due_at, target, state in rows if state == State.SCHEDULED])
    return {row[0] for row in rows}


def log_attempts(tx: Transaction, node: str, tried: list[tuple[Delivery, Outcome]]) -> None:
    """Once each, also where this is run again: an attempt has the number of its claim."""
    tx.each(
        """
        INSERT INTO attempts (node, delivery, number, started_at, took_ms, status, error, reply)
        SELECT CAST(:node AS TEXT), r.* FROM {rows} WHERE true
        ON CONFLICT DO NOTHING
        """,
        "delivery BIGINT, number BIGINT, started_at BIGINT, took_ms BIGINT, status BIGINT, error TEXT, reply TEXT",
        [(d.id, d.claims, o.started_at, o.took_ms, o.status, o.error, o.reply) for d, o in tried],
        node=node,
    )


def put_back(tx: Transaction, claimed: list[Delivery], state: State, due_at: int, reason: str | None) -> None:
    """End these claims without an attempt: held, dead, or scheduled again."""
    rows = tx.each(
        """
        UPDATE deliveries SET state = :state, due_at = :due_at, reason = :reason
        FROM {rows}
        WHERE deliveries.id = r.id AND +deliveries.state = 2 AND deliveries.claims = r.claims
        RETURNING deliveries.id, deliveries.target
        """,
        "id BIGINT, claims BIGINT",
        [(delivery.id, delivery.claims) for delivery in claimed],
        state=int(state),
        due_at=due_at,
        reason=reason,
    )
    if state == State.SCHEDULED:
        tx.tell(DUE, [(due_at, id, target) for id, target in rows])


def fetch_back(tx: Transaction, astray: list[tuple[int, int]], node: str, now: int) -> int:
    """Schedule those of these (id, lease) that this node holds by just that lease; how many."""
    rows = tx.each(
        """
        UPDATE deliveries SET state = 1, due_at = :now FROM {rows}
        WHERE deliveries.id = r.id AND +deliveries.state = 2 AND claimed_by = :node AND deliveries.due_at = r.lease
        RETURNING deliveries.due_at, deliveries.id, deliveries.target
        """,
        "id BIGINT, lease BIGINT",
        astray,
        node=node,
        now=now,
    )
    tx.tell(DUE, rows)
    return len(rows)


def hold(tx: Transaction, ids: list[int], reason: str) -> int:
    """Lay scheduled rows aside; they keep the moment they were due."""
    held = tx.each(
        "UPDATE deliveries SET state = 3, reason = :reason WHERE +state = 1 AND id IN (SELECT id FROM {rows})"
        " RETURNING id",
        "id BIGINT",
        [(id,) for id in ids],
        reason=reason,
    )
    return len(held)


def held_lines(tx: Transaction, after: tuple[int, int], most: int) -> list[tuple[int, int]]:
    """The (target, queue) pairs past this one that have held rows, one index step each."""
    lines: list[tuple[int, int]] = []
    position = after
    while len(lines) < most:
        row = tx.one(
            "SELECT target, queue FROM deliveries WHERE state = 3 AND (target, queue) > (:target, :queue)"
            " ORDER BY target, queue LIMIT 1",
            target=position[0],
            queue=position[1],
        )
        if row is None:
            break
        position = (row[0], row[1])
        lines.append(position)
    return lines


def release(tx: Transaction, target: int, queue: int, limit: int) -> int:
    """Schedule held rows of one line again, those that have waited longest first; how many."""
    rows = tx.all(
        """
        UPDATE deliveries SET state = 1, reason = NULL
        WHERE id IN (SELECT id FROM deliveries WHERE state = 3 AND target = :target AND queue = :queue
                     ORDER BY due_at LIMIT :limit {skip_locked})
        RETURNING due_at, id, target
        """,
        target=target,
        queue=queue,
        limit=limit,
    )
    tx.tell(DUE, rows)
    return len(rows)


def file_precisely(tx: Transaction, now: int, limit: int) -> int:
    """Rows filed by a day that is near: from now on by their moment. How many."""
    rows = tx.all(
        """
        UPDATE deliveries SET state = 1, due_at = planned_at
        WHERE id IN (SELECT id FROM deliveries WHERE state = 0 AND due_at <= :now
                     ORDER BY due_at LIMIT :limit {skip_locked})
        RETURNING due_at, id, target
        """,
        now=now,
        limit=limit,
    )
    tx.tell(DUE, rows)
    return len(rows)


def reclaim_expired(tx: Transaction, node: str, now: int, limit: int) -> int:
    """Rows of other nodes whose lease is over are due again. Of a node's own, it alone knows which are in its hands."""
    return _give_back(tx, "claimed_by <> :node AND due_at <= :now", node, now, limit)


def expired_of(tx: Transaction, node: str, now: int, limit: int) -> list[int]:
    """The ids of this node's rows whose lease is over."""
    rows = tx.all(
        "SELECT id FROM deliveries WHERE state = 2 AND due_at <= :now AND claimed_by = :node LIMIT :limit",
        node=node,
        now=now,
        limit=limit,
    )
    return [id for (id,) in rows]


def reclaim_lost(tx: Transaction, ids: list[int], node: str, now: int) -> int:
    """Those of these whose lease is over are due again; how many. What the node could not even give back."""
    rows = tx.each(
        """
        UPDATE deliveries SET state = 1, due_at = :now FROM {rows}
        WHERE deliveries.id = r.id AND +deliveries.state = 2 AND claimed_by = :node AND deliveries.due_at <= :now
        RETURNING deliveries.due_at, deliveries.id, deliveries.target
        """,
        "id BIGINT",
        [(id,) for id in ids],
        node=node,
        now=now,
    )
    tx.tell(DUE, rows)
    return len(rows)


def reclaim_of(tx: Transaction, node: str, now: int, limit: int) -> int:
    """What this node, which has died, had in its hands is due again, at once."""
    return _give_back(tx, "claimed_by = :node", node, now, limit)


def _give_back(tx: Transaction, which: str, node: str, now: int, limit: int) -> int:
    rows = tx.all(
        f"""
        UPDATE deliveries SET state = 1, due_at = :now
        WHERE id IN (SELECT id FROM deliveries WHERE state = 2 AND {which} LIMIT :limit {{skip_locked}})
        RETURNING due_at, id, target
        """,
        node=node,
        now=now,
        limit=limit,
    )
    tx.tell(DUE, rows)
    return len(rows)
