"""The rows of `mails` and `mail_recipients`: put in, told what became of them, found, listed, forgotten."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.machinery.mail.addresses import key_of
from undercroft.machinery.mail.model import WAITING, Mail, Recipient, State, summary

# Rows that one page looks at for a filter that few of them pass.
LOOKED_AT = 1_000


class Kept(NamedTuple):
    """A mail as lists show it. Times are milliseconds UTC."""

    id: str
    namespace: str
    owner: str
    sender: str
    subject: str
    state: State
    created_at: int
    send_at: int | None


class KeptRecipient(NamedTuple):
    mail: str
    position: int
    address: str
    kind: str
    state: State
    reply: str | None
    """The relay's last words about it, or why it never went there."""
    settled_at: int | None


class Begin(NamedTuple):
    """A recipient as it is put in; `reply` is why it goes nowhere."""

    recipient: Recipient
    state: State
    reply: str | None = None


class New(NamedTuple):
    """A mail to be put in, with its recipients."""

    kept: Kept
    content: str
    recipients: list[Begin]


class Told(NamedTuple):
    """What became of a recipient."""

    mail: str
    position: int
    state: State
    reply: str | None


_MAIL = "id, namespace, owner, sender, subject, state, created_at, send_at"
_RECIPIENT = "mail, position, address, kind, state, reply, settled_at"
_decoder = msgspec.json.Decoder(Mail)


def insert(tx: Transaction, new: list[New]) -> set[str]:
    """The ids of those that are in now; of the others nothing is: they had been put in before."""
    rows = tx.each(
        f"INSERT INTO mails ({_MAIL}) SELECT * FROM {{rows}} WHERE true ON CONFLICT (id) DO NOTHING RETURNING id",
        "id TEXT, namespace TEXT, owner TEXT, sender TEXT, subject TEXT, state BIGINT, created_at BIGINT,"
        " send_at BIGINT",
        [(*one.kept[:5], int(one.kept.state), *one.kept[6:]) for one in new],
    )
    ids = {row[0] for row in rows}
    put_in = [one for one in new if one.kept.id in ids]
    tx.each(
        "INSERT INTO mail_contents (mail, content) SELECT * FROM {rows} WHERE true",
        "mail TEXT, content TEXT",
        [(one.kept.id, one.content) for one in put_in],
    )
    tx.each(
        "INSERT INTO mail_recipients (mail, position, namespace, address, kind, state, reply, settled_at)"
        " SELECT * FROM {rows} WHERE true",
        "mail TEXT, position BIGINT, namespace TEXT, address TEXT, kind TEXT, state BIGINT, reply TEXT,"
        " settled_at BIGINT",
        [row for one in put_in for row in _recipient_rows(one)],
    )
    return ids


def _recipient_rows(new: New) -> Iterator[tuple[Any, ...]]:
    mail = new.kept
    for position, (recipient, state, reply) in enumerate(new.recipients):
        ended = None if state in WAITING else mail.created_at
        address = key_of(recipient.address)
        yield mail.id, position, mail.namespace, address, recipient.kind, int(state), reply, ended


def note_told(tx: Transaction, told: list[Told], now: int) -> None:
    """Write down what became of these recipients, and of their mails.

    The mails are held first, by their ids: of two nodes that settle recipients of one mail, the second to come then
    sees what the first has written, and the summary is of all; and of several mails neither waits for the other.
    """
    mails = [(id,) for id in {one.mail for one in told}]
    tx.each("SELECT id FROM mails WHERE id IN (SELECT r.id FROM {rows}) ORDER BY id {locked}", "id TEXT", mails)
    tx.each(
        "UPDATE mail_recipients SET state = r.state, reply = r.reply, settled_at = CAST(:now AS BIGINT) FROM {rows}"
        " WHERE mail_recipients.mail = r.mail AND mail_recipients.position = r.position",
        "mail TEXT, position BIGINT, state BIGINT, reply TEXT",
        [(one.mail, one.position, int(one.state), one.reply) for one in told],
        now=now,
    )
    found = tx.each(
        "SELECT DISTINCT mail, state FROM mail_recipients WHERE mail IN (SELECT r.id FROM {rows})", "id TEXT", mails
    )
    states: dict[str, list[State]] = {}
    for mail, state in found:
        states.setdefault(mail, []).append(State(state))
    tx.each(
        "UPDATE mails SET state = r.state FROM {rows} WHERE mails.id = r.id AND mails.state <> r.state",
        "id TEXT, state BIGINT",
        [(mail, int(summary(its))) for mail, its in states.items()],
    )


def find(tx: Transaction, id: str) -> tuple[Kept, Mail] | None:
    row = tx.one(
        f"SELECT {_MAIL}, content FROM mails JOIN mail_contents ON mail_contents.mail = mails.id WHERE id = :id", id=id
    )
    return (_kept(row[:8]), _decoder.decode(row[8])) if row else None


def recipients_of(tx: Transaction, ids: list[str]) -> dict[str, list[KeptRecipient]]:
    rows = tx.each(
        f"SELECT {_RECIPIENT} FROM mail_recipients WHERE mail IN (SELECT r.id FROM {{rows}})",
        "id TEXT",
        [(id,) for id in ids],
    )
    found: dict[str, list[KeptRecipient]] = {id: [] for id in ids}
    for row in sorted(rows):
        found[row[0]].append(KeptRecipient._make((*row[:4], State(row[4]), *row[5:])))
    return found


def page(
    tx: Transaction, namespaces: list[str] | None, state: State | None, before: str | None, limit: int
) -> list[Kept]:
    """Mails of these namespaces (None: of all), newest first, older than the one with this id."""
    states = list(State) if state is None else [state]
    if namespaces is None:
        of_state = "" if state is None else f"state = {int(state)} AND "  # either way all of it is in an index
        rows = tx.all(
            f"SELECT {_MAIL} FROM mails WHERE {of_state}id < :before ORDER BY id DESC LIMIT :limit",
            before=before or "~",
            limit=limit,
        )
        return [_kept(row) for row in rows]
    if not namespaces:
        return []
    # One ordered walk for each, merged: the index begins with these two, so no other row is looked at.
    walks = " UNION ALL ".join(
        f"SELECT * FROM (SELECT {_MAIL} FROM mails WHERE namespace = :ns{n} AND state = {int(one)} AND id < :before"
        f" ORDER BY id DESC LIMIT :limit) AS w{n}_{int(one)}"
        for n in range(len(namespaces))
        for one in states
    )
    rows = tx.all(
        f"SELECT * FROM ({walks}) AS every ORDER BY id DESC LIMIT :limit",
        before=before or "~",
        limit=limit,
        **{f"ns{n}": namespace for n, namespace in enumerate(namespaces)},
    )
    return [_kept(row) for row in rows]


def page_to(
    tx: Transaction, namespace: str, address: str, state: State | None, before: str | None, limit: int
) -> tuple[list[Kept], str | None]:
    """Mails to this address, newest first; and where the next page goes on, None at the end."""
    rows = tx.all(
        """
        SELECT mail FROM mail_recipients
        WHERE namespace = :namespace AND address = :address AND mail < :before ORDER BY mail DESC LIMIT :limit
        """,
        namespace=namespace,
        address=key_of(address),
        before=before or "~",
        limit=LOOKED_AT,
    )
    found = tx.each(f"SELECT {_MAIL} FROM mails WHERE id IN (SELECT r.id FROM {{rows}})", "id TEXT", rows)
    kept = sorted((_kept(row) for row in found), reverse=True)
    matching = [one for one in kept if state is None or one.state is state]
    if len(matching) > limit:
        return matching[:limit], matching[limit - 1].id
    return matching, rows[-1][0] if len(rows) == LOOKED_AT else None


def forget(tx: Transaction, after: str, before: str, limit: int) -> tuple[int, str | None]:
    """Of the mails whose ids are between these, the next `limit`: those that had their end are forgotten.

    How many that were, and the id to go on after, None at the end.
    """
    rows = tx.all(
        "SELECT id, state FROM mails WHERE id > :after AND id < :before ORDER BY id LIMIT :limit",
        after=after,
        before=before,
        limit=limit,
    )
    ended = tx.each(
        "SELECT id FROM mails WHERE id IN (SELECT r.id FROM {rows}) ORDER BY id {skip_locked}",
        "id TEXT",
        [(id,) for id, state in rows if state not in WAITING],
    )
    tx.each("DELETE FROM mails WHERE id IN (SELECT r.id FROM {rows})", "id TEXT", ended)
    tx.each("DELETE FROM mail_contents WHERE mail IN (SELECT r.id FROM {rows})", "id TEXT", ended)
    tx.each("DELETE FROM mail_recipients WHERE mail IN (SELECT r.id FROM {rows})", "id TEXT", ended)
    return len(ended), rows[-1][0] if len(rows) == limit else None


def forget_contents(tx: Transaction, namespace: str, after: str, before: str, limit: int) -> int:
    """Of this namespace's mails past `after`: what is in those that had their end, or whose ids are below `before`.

    Captured ones have nowhere else to be read, and wait for the latter. How many were emptied, `limit` at the most; the
    mails themselves are kept.
    """
    # One ordered walk for each state: the index begins with these two.
    walks = " UNION ALL ".join(
        f"SELECT id FROM mails WHERE namespace = :namespace AND state = {int(state)} AND id > :after"
        + (" AND id < :before" if state in (*WAITING, State.CAPTURED) else "")
        for state in State
    )
    rows = tx.all(
        f"SELECT w.id FROM ({walks}) AS w JOIN mail_contents c ON c.mail = w.id LIMIT :limit",
        namespace=namespace,
        after=after,
        before=before,
        limit=limit,
    )
    # Whoever else holds one is about to forget the whole mail.
    held = tx.each(
        "SELECT mail FROM mail_contents WHERE mail IN (SELECT r.id FROM {rows}) {skip_locked}", "id TEXT", rows
    )
    tx.each("DELETE FROM mail_contents WHERE mail IN (SELECT r.id FROM {rows})", "id TEXT", held)
    return len(held)


def _kept(row: tuple[Any, ...]) -> Kept:
    return Kept._make(row)._replace(state=State(row[5]))
