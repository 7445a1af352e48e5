"""What comes from files: messages into a set, people onto it. A page of either is one transaction, so that nobody waits
long for the database; whoever sends the same again, because it was cut off, changes nothing by it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging import messagesets
from undercroft.families.messaging.errors import Wrong, missing
from undercroft.families.messaging.given import Given, find_errors
from undercroft.families.messaging.messages import wrong_content
from undercroft.families.messaging.model import MessageSet
from undercroft.families.messaging.store import SETS
from undercroft.families.messaging.subscriptions import Order, create_many

MESSAGES_PER_PAGE = 500
MOST_SUBSCRIBERS = 500
Row = Mapping[str, Any]
"""A message: sequence_number, lang, metadata (JSON), text_content."""
_Key = tuple[int, str]


class Imported(NamedTuple):
    created: int
    changed: int


class Subscribed(NamedTuple):
    """`passed_by`: those who are on the set, or were; `failed`: the place in the page → why not."""

    subscribed: int
    passed_by: int
    failed: dict[int, Wrong]


def pages(rows: Iterable[Row]) -> list[list[Row]]:
    """Of what stands in a file twice the last."""
    last = list({_key(row): row for row in rows}.values())
    return [last[at : at + MESSAGES_PER_PAGE] for at in range(0, len(last), MESSAGES_PER_PAGE)]


def check_messages(tx: Transaction, namespace: str, id: int, rows: Sequence[Row]) -> None:
    """All of a file, before any of it is put in. Raises Wrong that names the first that can't be."""
    its_set = messagesets.require(tx, namespace, id)
    with_file = {
        (number, lang)
        for number, lang in tx.all(
            "SELECT sequence_number, lang FROM messaging_messages"
            " WHERE messageset = :id AND binary_content IS NOT NULL",
            id=id,
        )
    }
    for number, row in enumerate(rows, 1):
        wrong = wrong_content(row["text_content"], has_file=_key(row) in with_file, channel=its_set.channel)
        if wrong is not None:
            raise Wrong({f"message {number}": [wrong]})


def put_messages(tx: Transaction, namespace: str, id: int, page: Sequence[Row], now: int) -> Imported:
    """Each is made, or changed where the set has its number in its language."""
    if not SETS.known(tx, namespace, {id}):
        raise missing()
    known = {
        (number, lang): (key, text, metadata)
        for key, number, lang, text, metadata in tx.each(
            "SELECT m.id, m.sequence_number, m.lang, m.text_content, m.metadata FROM {rows} JOIN messaging_messages m"
            " ON m.messageset = :id AND m.lang = r.lang AND m.sequence_number = r.number",
            "number BIGINT, lang TEXT",
            [_key(row) for row in page],
            id=id,
        )
    }
    made = tx.each(
        "INSERT INTO messaging_messages (messageset, namespace, created_at, updated_at, sequence_number, lang,"
        " text_content, metadata) SELECT CAST(:id AS BIGINT), CAST(:namespace AS TEXT), CAST(:now AS BIGINT),"
        " CAST(:now AS BIGINT), r.* FROM {rows} WHERE true ON CONFLICT DO NOTHING RETURNING id",
        "number BIGINT, lang TEXT, text_content TEXT, metadata TEXT",
        [(*_key(row), *_words(row)) for row in page if _key(row) not in known],
        id=id,
        namespace=namespace,
        now=now,
    )
    changed = [(known[_key(row)][0], *_words(row)) for row in page if _key(row) in known]
    changed = [one for one in changed if one not in known.values()]
    tx.each(
        "UPDATE messaging_messages SET text_content = r.text_content, metadata = r.metadata, updated_at = :now"
        " FROM {rows} WHERE messaging_messages.id = r.id",
        "id BIGINT, text_content TEXT, metadata TEXT",
        changed,
        now=now,
    )
    return Imported(len(made), len(changed))


def subscribe_many(tx: Transaction, namespace: str, id: int, page: list[Given], now: int) -> Subscribed:
    """Put these onto the set, each identity once, whoever asks for it at the same time; who was on it, is not put there
    again, and so neither who has left it."""
    its_set = SETS.find(tx, namespace, id, locked=True)
    if its_set is None:
        raise missing()
    page = [_on(its_set, given) for given in page]
    wrong = find_errors(tx, [(namespace, given) for given in page])
    failed = {place: Wrong(errors) for place, errors in enumerate(wrong) if errors}
    right: dict[str, Given] = {}
    for place, given in enumerate(page):
        if place not in failed:
            right.setdefault(given.values["identity"], given)
    there = _on_the_set(tx, its_set, set(right))
    orders = [Order(namespace, given, now) for identity, given in right.items() if identity not in there]
    create_many(tx, orders)
    return Subscribed(len(orders), len(page) - len(failed) - len(orders), failed)


def _on(its_set: MessageSet, given: Given) -> Given:
    """By the set's own schedule, unless it says by which."""
    return given._replace(values={"schedule": its_set.default_schedule, **given.values, "messageset": its_set.id})


def _on_the_set(tx: Transaction, its_set: MessageSet, identities: set[str]) -> set[str]:
    rows = tx.each(
        "SELECT DISTINCT r.identity FROM {rows} JOIN messaging_subscriptions s"
        " ON s.namespace = :namespace AND s.identity = r.identity AND s.messageset = :id",
        "identity TEXT",
        [(identity,) for identity in sorted(identities)],
        namespace=its_set.namespace,
        id=its_set.id,
    )
    return {identity for (identity,) in rows}


def _key(row: Row) -> _Key:
    return row["sequence_number"], row["lang"]


def _words(row: Row) -> tuple[str | None, str]:
    return row["text_content"], row["metadata"]
