"""What can be done with messages."""

from typing import Any

from undercroft.database import Transaction
from undercroft.families.messaging.errors import WHOLE, Wrong, WrongMessage, missing
from undercroft.families.messaging.given import Given, check
from undercroft.families.messaging.messagesets import require as require_set
from undercroft.families.messaging.model import Binary, Message, breaks_whatsapp
from undercroft.families.messaging.store import BINARIES, MESSAGES

NOT_UNIQUE = "The fields messageset, sequence_number, lang must make a unique set."
NOTHING_TO_SAY = "Messages must have text or file attached"
NOT_FOR_WHATSAPP = "Text for WhatsApp must not include newline, tabs, or 4 consecutive spaces."


def create(tx: Transaction, namespace: str, given: Given, now: int) -> Message:
    """Raises Wrong for fields, then for uniqueness; then WrongMessage for what it says. (contract §5 message)"""
    check(tx, namespace, given)
    defaults = {"metadata": "{}", "text_content": None, "binary_content": None}
    values: dict[str, Any] = {**defaults, **given.values}
    _check_unique(tx, values, None)
    _check_content(tx, namespace, values)
    made = MESSAGES.insert(tx, {**values, "namespace": namespace, "created_at": now, "updated_at": now})
    if made is None:  # another took the number at this moment
        raise Wrong({WHOLE: [NOT_UNIQUE]})
    return made


def change(tx: Transaction, namespace: str, id: int, given: Given, now: int) -> Message:
    before = require(tx, namespace, id)
    check(tx, namespace, given)
    after = {**before._asdict(), **given.values}
    _check_unique(tx, after, id)
    _check_content(tx, namespace, after)
    changed = MESSAGES.update(tx, id, {**given.values, "updated_at": now})
    assert changed is not None, "it was there above"
    return changed


def delete(tx: Transaction, namespace: str, id: int, _now: int) -> None:
    require(tx, namespace, id)
    MESSAGES.delete(tx, id)


def require(tx: Transaction, namespace: str, id: int) -> Message:
    found = MESSAGES.find(tx, namespace, id)
    if found is None:
        raise missing()
    return found


def with_file(tx: Transaction, namespace: str, id: int) -> tuple[Message, Binary | None]:
    message = require(tx, namespace, id)
    return message, BINARIES.find_all(tx, {message.binary_content or 0}).get(message.binary_content or 0)


def _check_unique(tx: Transaction, values: dict[str, Any], own: int | None) -> None:
    taken = tx.one(
        "SELECT id FROM messaging_messages"
        " WHERE messageset = :messageset AND lang = :lang AND sequence_number = :number",
        messageset=values["messageset"],
        lang=values["lang"],
        number=values["sequence_number"],
    )
    if taken is not None and taken[0] != own:
        raise Wrong({WHOLE: [NOT_UNIQUE]})


def _check_content(tx: Transaction, namespace: str, values: dict[str, Any]) -> None:
    channel = require_set(tx, namespace, values["messageset"]).channel
    wrong = wrong_content(values["text_content"], has_file=values["binary_content"] is not None, channel=channel)
    if wrong is not None:
        raise WrongMessage(wrong)


def wrong_content(text: str | None, *, has_file: bool, channel: str | None) -> str | None:
    """What is wrong with what a message says, by the channel of its set; None for nothing."""
    if not text and not has_file:
        return NOTHING_TO_SAY
    if text and channel and "whatsapp" in channel.lower() and breaks_whatsapp(text):
        return NOT_FOR_WHATSAPP
    return None
