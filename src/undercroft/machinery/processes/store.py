"""The table of processes.

What a node notes of one counts only while that is its own: another may have taken it over meanwhile.
"""

from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.database.interface import Row
from undercroft.machinery.processes.plan import Child, Past, Spec, Wanted

_COLUMNS = (
    "name, node, spec, up, generation, pid, created, runs, started_at, asked_at, killed_at, ended_at, ended_how,"
    " failures"
)


class Process(NamedTuple):
    """What is wanted under a name, and what runs."""

    name: str
    wanted: Wanted
    child: Child | None
    created: int
    """The kernel's start time of the child, in clock ticks since boot: with the pid it names the child."""
    past: Past
    ended_how: str | None


def all_of(tx: Transaction, node: str) -> list[Process]:
    rows = tx.all(f"SELECT {_COLUMNS} FROM processes WHERE node = :node ORDER BY name", node=node)
    return [_process(row) for row in rows]


def find(tx: Transaction, name: str, node: str | None = None) -> Process | None:
    """Whosever it is, or this node's."""
    row = tx.one(f"SELECT {_COLUMNS} FROM processes WHERE name = :name", name=name)
    return None if row is None or node not in (None, row[1]) else _process(row)


def want(tx: Transaction, name: str, node: str, spec: Spec, up: bool) -> None:
    """A changed spec is a new generation: what runs is started anew."""
    text = msgspec.json.encode(spec).decode()
    tx.run(
        "INSERT INTO processes (name, node, spec, up, generation, runs, failures)"
        " VALUES (:name, :node, :spec, :up, 1, 0, 0) ON CONFLICT (name) DO UPDATE SET node = excluded.node,"
        " up = excluded.up, spec = excluded.spec, failures = 0,"
        " generation = processes.generation + CASE WHEN processes.spec = excluded.spec THEN 0 ELSE 1 END",
        name=name,
        node=node,
        spec=text,
        up=int(up),
    )


def restart(tx: Transaction, name: str) -> None:
    tx.run("UPDATE processes SET generation = generation + 1, failures = 0 WHERE name = :name", name=name)


def forget(tx: Transaction, name: str) -> bool:
    """False where it runs, or is wanted again: then nothing is forgotten."""
    tx.run("DELETE FROM processes WHERE name = :name AND up = 0 AND pid IS NULL", name=name)
    return find(tx, name) is None


def note_started(tx: Transaction, name: str, node: str, child: Child, created: int) -> bool:
    """False where it is not this node's any more: then nobody knows of the child."""
    return tx.run(
        "UPDATE processes SET pid = :pid, created = :created, runs = :generation, started_at = :at,"
        " asked_at = NULL, killed_at = NULL WHERE name = :name AND node = :node",
        name=name,
        node=node,
        pid=child.pid,
        created=created,
        generation=child.generation,
        at=child.started_at,
    ) > 0  # fmt: skip


def note_asked(tx: Transaction, name: str, node: str, now: int) -> None:
    sql = "UPDATE processes SET asked_at = :now WHERE name = :name AND node = :node"
    tx.run(sql, name=name, node=node, now=now)


def note_killed(tx: Transaction, name: str, node: str, now: int) -> None:
    sql = "UPDATE processes SET killed_at = :now WHERE name = :name AND node = :node"
    tx.run(sql, name=name, node=node, now=now)


def note_ended(tx: Transaction, name: str, node: str, past: Past, how: str) -> None:
    tx.run(
        "UPDATE processes SET pid = NULL, created = NULL, started_at = NULL, asked_at = NULL, killed_at = NULL,"
        " ended_at = :at, ended_how = :how, failures = :failures WHERE name = :name AND node = :node",
        name=name,
        node=node,
        at=past.ended_at,
        how=how,
        failures=past.failures,
    )


def forgive(tx: Transaction, name: str, node: str) -> None:
    tx.run("UPDATE processes SET failures = 0 WHERE name = :name AND node = :node", name=name, node=node)


def _process(row: Row) -> Process:
    name, _, spec, up, generation, pid, created, runs, started, asked, killed, ended, how, failures = row
    child = None if pid is None else Child(pid, runs, started, asked, killed)
    wanted = Wanted(bool(up), generation, _spec(spec))
    return Process(name, wanted, child, created or 0, Past(failures, ended), how)


def _spec(text: str) -> Spec:
    """Without a program where it can't be read: such a one is not started, but can be ended and wanted anew."""
    try:
        return msgspec.json.decode(text, type=Spec)
    except msgspec.DecodeError:
        return Spec(())
