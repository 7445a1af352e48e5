"""What a caller gave, field by field, and what of it leads nowhere."""

from typing import Any, NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.store import BINARIES, SCHEDULES, SETS
from undercroft.families.messaging.tables import Table

REFERENCES: dict[str, Table[Any]] = {
    "messageset": SETS,
    "next_set": SETS,
    "default_schedule": SCHEDULES,
    "schedule": SCHEDULES,
    "binary_content": BINARIES,
    "target": SETS,
}


class Given(NamedTuple):
    """`values`: those that are right, as they are kept; `errors`: of the others, what is wrong with each."""

    values: dict[str, Any]
    errors: dict[str, list[str]]


def check(tx: Transaction, namespace: str, given: Given) -> None:
    """Raises Wrong, with everything that is wrong at once."""
    [errors] = find_errors(tx, [(namespace, given)])
    if errors:
        raise Wrong(errors)


def find_errors(tx: Transaction, orders: list[tuple[str, Given]]) -> list[dict[str, list[str]]]:
    """Of many at once: the errors of each, with the references that lead nowhere in its namespace."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for namespace, given in orders:
        for field in REFERENCES.keys() & given.values.keys():
            if given.values[field] is not None:
                wanted.setdefault((namespace, field), set()).add(given.values[field])
    known = {
        place: REFERENCES[place[1]].known(tx, place[0], {id for id in ids if id < 2**63})
        for place, ids in wanted.items()
    }
    found = []
    for namespace, given in orders:
        errors = dict(given.errors)
        for field in REFERENCES.keys() & given.values.keys():
            id = given.values[field]
            if id is not None and id not in known[namespace, field]:
                errors[field] = [f'Invalid pk "{id}" - object does not exist.']
        found.append(errors)
    return found
