"""What can be done with message sets."""

from typing import Any

from undercroft.database import Transaction
from undercroft.families.messaging.errors import Wrong, in_use, missing
from undercroft.families.messaging.given import Given, check
from undercroft.families.messaging.model import Binary, Message, MessageSet
from undercroft.families.messaging.store import BINARIES, MESSAGES, SETS

NAME_TAKEN = "message set with this Short name already exists."
_DEFAULTS: dict[str, Any] = {
    "label": "",
    "content_type": "text",
    "notes": None,
    "next_set": None,
    "channel": None,
    "quiet_from": None,
    "quiet_until": None,
    "dry_run": 0,
}


def create(tx: Transaction, namespace: str, given: Given, now: int) -> MessageSet:
    _check(tx, namespace, given, None)
    values = {**_DEFAULTS, **given.values, "namespace": namespace, "created_at": now, "updated_at": now}
    made = SETS.insert(tx, values)
    if made is None:  # another took the name at this moment
        raise Wrong({"short_name": [NAME_TAKEN]})
    return made


def change(tx: Transaction, namespace: str, id: int, given: Given, now: int) -> MessageSet:
    before = require(tx, namespace, id)
    _check(tx, namespace, given, before)
    changed = SETS.update(tx, id, {**given.values, "updated_at": now})
    assert changed is not None, "it was there above"
    return changed


def delete(tx: Transaction, namespace: str, id: int, _now: int) -> None:
    """With its messages. Raises Refusal(CONFLICT) while subscriptions are on it, or rules speak of it."""
    require(tx, namespace, id, locked=True)  # from here on nobody refers to it anew
    if tx.one("SELECT 1 FROM messaging_subscriptions WHERE messageset = :id LIMIT 1", id=id):
        raise in_use("The message set is in use: subscriptions are on it. Move or delete them first.")
    rule = tx.one("SELECT name FROM messaging_rules WHERE messageset = :id OR target = :id LIMIT 1", id=id)
    if rule is not None:
        raise in_use(f"The message set is in use: the rule {rule[0]} speaks of it. Change or remove it first.")
    tx.run("DELETE FROM messaging_messages WHERE messageset = :id", id=id)
    tx.run("DELETE FROM messaging_estimates WHERE messageset = :id", id=id)
    tx.run(
        "DELETE FROM messaging_behind WHERE namespace = :namespace"
        " AND (current_messageset = :id OR expected_messageset = :id)",
        id=id,
        namespace=namespace,
    )
    tx.run("UPDATE messaging_sets SET next_set = NULL WHERE next_set = :id", id=id)
    SETS.delete(tx, id)


def clone(tx: Transaction, namespace: str, id: int, short_name: str, now: int) -> MessageSet:
    """The same again under another name, messages and all; nobody is subscribed to it."""
    original = require(tx, namespace, id)
    values = {**original._asdict(), "short_name": short_name, "created_at": now, "updated_at": now}
    del values["id"]
    made = SETS.insert(tx, values)
    if made is None:
        raise Wrong({"short_name": [NAME_TAKEN]})
    tx.run(
        "INSERT INTO messaging_messages (namespace, messageset, sequence_number, lang, metadata, text_content,"
        " binary_content, created_at, updated_at)"
        " SELECT namespace, :made, sequence_number, lang, metadata, text_content, binary_content, :now, :now"
        " FROM messaging_messages WHERE messageset = :id",
        id=id,
        made=made.id,
        now=now,
    )
    return made


def require(tx: Transaction, namespace: str, id: int, *, locked: bool = False) -> MessageSet:
    found = SETS.find(tx, namespace, id, locked=locked)
    if found is None:
        raise missing()
    return found


def messages_of(tx: Transaction, id: int) -> list[tuple[Message, Binary | None]]:
    """By their numbers, each with its file."""
    rows = tx.all(
        f"SELECT {MESSAGES.columns} FROM messaging_messages WHERE messageset = :id ORDER BY sequence_number, lang",
        id=id,
    )
    messages = [MESSAGES.made(row) for row in rows]
    files = BINARIES.find_all(tx, {one.binary_content for one in messages if one.binary_content is not None})
    return [(one, files.get(one.binary_content or 0)) for one in messages]


def languages(tx: Transaction, namespace: str) -> dict[int, list[str]]:
    """Of every set the languages that it has messages in, sorted."""
    rows = tx.all(
        "SELECT DISTINCT s.id, m.lang FROM messaging_sets s LEFT JOIN messaging_messages m ON m.messageset = s.id"
        " WHERE s.namespace = :namespace",
        namespace=namespace,
    )
    found: dict[int, list[str]] = {}
    for id, lang in sorted(rows, key=lambda row: (row[0], row[1] or "")):
        found.setdefault(id, [])
        if lang is not None:
            found[id].append(lang)
    return found


def _check(tx: Transaction, namespace: str, given: Given, before: MessageSet | None) -> None:
    """A name that is taken is told beside everything else that is wrong."""
    name = given.values.get("short_name")
    errors = dict(given.errors)
    if name is not None:
        holder = SETS.find(tx, namespace, name, by="short_name")
        if holder is not None and (before is None or holder.id != before.id):
            errors["short_name"] = [NAME_TAKEN]
    check(tx, namespace, Given(given.values, _wrong_hours(given, before) | errors))


def _wrong_hours(given: Given, before: MessageSet | None) -> dict[str, list[str]]:
    """What is wrong with quiet hours that are both readable, and of which one is given."""
    names = {"quiet_from", "quiet_until"}
    if names & given.errors.keys() or not names & given.values.keys():
        return {}
    begin, end = (given.values.get(name, getattr(before, name, None)) for name in ("quiet_from", "quiet_until"))
    if (begin is None) != (end is None):
        lacking = "quiet_from" if begin is None else "quiet_until"
        return {lacking: ["Quiet hours have a beginning and an end, such as 21:00 and 08:00."]}
    if begin is not None and begin == end:
        return {"quiet_until": ["Quiet hours that end when they begin are none. Give another time, or null for both."]}
    return {}
