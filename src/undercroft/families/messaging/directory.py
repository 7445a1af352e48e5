"""Whom identities mean: the built-in directory of addresses, languages and time zones."""

from typing import Any, NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging.errors import missing
from undercroft.families.messaging.model import Address, Person, kind_of_address
from undercroft.families.messaging.rules import events
from undercroft.families.messaging.rules.firing import happened
from undercroft.families.messaging.store import PERSONS


class Whereto(NamedTuple):
    """`timezone` None: as the schedule's."""

    address: str
    timezone: str | None


def whereto(tx: Transaction, namespace: str, identities: set[str], kind: str | None) -> dict[str, Whereto]:
    """Where each is reached, by an address of this kind (None: whichever there is, phone numbers first).

    An identity that the directory doesn't know, and that is an address itself, is reached there.
    """
    rows = tx.each(
        "SELECT p.id, a.kind, a.address, COALESCE(a.timezone, p.timezone), a.is_default"
        " FROM messaging_identities p LEFT JOIN messaging_addresses a ON a.identity = p.number"
        " WHERE p.namespace = :namespace AND p.id IN (SELECT r.id FROM {rows})",
        "id TEXT",
        [(identity,) for identity in identities],
        namespace=namespace,
    )
    best: dict[str, tuple[Any, Whereto]] = {}
    known = set()
    for id, its_kind, address, timezone, is_default in rows:
        known.add(id)
        if address is None or (kind is not None and its_kind != kind):
            continue
        rank = (its_kind != "msisdn", -is_default, address)
        if id not in best or rank < best[id][0]:
            best[id] = (rank, Whereto(address, timezone))
    found = {id: where for id, (_, where) in best.items()}
    for identity in identities - known:
        its_kind = kind_of_address(identity)
        if its_kind is not None and kind in (None, its_kind):
            found[identity] = Whereto(identity, None)
    return found


def require(tx: Transaction, namespace: str, id: str) -> Person:
    person = PERSONS.find(tx, namespace, id)
    if person is None:
        raise missing()
    return person


def addresses_of(tx: Transaction, persons: list[Person]) -> dict[int, list[Address]]:
    """By the person's number; those of a kind together, the default first."""
    rows = tx.each(
        "SELECT identity, kind, address, is_default, timezone FROM messaging_addresses"
        " WHERE identity IN (SELECT r.id FROM {rows})",
        "id BIGINT",
        [(person.number,) for person in persons],
    )
    found: dict[int, list[Address]] = {}
    for address in sorted(map(Address._make, rows), key=lambda one: (one.kind, -one.is_default, one.address)):
        found.setdefault(address.identity, []).append(address)
    return found


def put(
    tx: Transaction, namespace: str, id: str, values: dict[str, Any], addresses: list[dict[str, Any]] | None, now: int
) -> Person:
    """Make the identity, or give it other values; its addresses become these, unless they are None."""
    person = PERSONS.find(tx, namespace, id)
    before = {} if person is None else events.details(person.lang, person.timezone, person.metadata).fields
    kinds = set() if person is None else _kinds(tx, person)
    if person is None:
        fresh = {"metadata": "{}", **values, "namespace": namespace, "id": id, "created_at": now, "updated_at": now}
        person = PERSONS.insert(tx, fresh) or require(tx, namespace, id)
    else:
        person = PERSONS.update(tx, person.number, {**values, "updated_at": now}) or person
    if addresses is not None:
        tx.run("DELETE FROM messaging_addresses WHERE identity = :identity", identity=person.number)
        tx.each(
            "INSERT INTO messaging_addresses (identity, kind, address, is_default, timezone)"
            " SELECT r.* FROM {rows} WHERE true ON CONFLICT DO NOTHING",
            "identity BIGINT, kind TEXT, address TEXT, is_default BIGINT, timezone TEXT",
            [(person.number, a["kind"], a["address"], int(a["default"]), a["timezone"]) for a in addresses],
        )
    happened(tx, events.changes(person, before, kinds, _kinds(tx, person)), now)
    return person


def _kinds(tx: Transaction, person: Person) -> set[str]:
    rows = tx.all("SELECT DISTINCT kind FROM messaging_addresses WHERE identity = :number", number=person.number)
    return {kind for (kind,) in rows}


def remove(tx: Transaction, namespace: str, id: str) -> None:
    person = require(tx, namespace, id)
    tx.run("DELETE FROM messaging_addresses WHERE identity = :identity", identity=person.number)
    PERSONS.delete(tx, person.number)
