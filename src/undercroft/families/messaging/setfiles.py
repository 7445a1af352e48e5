"""Message sets as files, for writers and for moving house: CSV for spreadsheets, YAML for version control. Pure, but
for the function at the end."""

import csv
import io
from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging import messagesets
from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.model import Binary, Message, MessageSet

MOST_MESSAGES = 10_000
DEEPEST = 30
_EVENTS_PER_MESSAGE = 50
# All texts of a file together.
LONGEST_FILE = 16 * 2**20
COLUMNS = ("sequence_number", "lang", "text_content", "metadata")
# What a spreadsheet would take for a formula is written behind an apostrophe, and read without it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Whole = list[tuple[Message, Binary | None]]


def write_csv(whole: Whole) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for one, _ in whole:
        text = one.text_content or ""
        said = "'" + text if text.startswith((*_FORMULA, "'")) else text
        writer.writerow([one.sequence_number, one.lang, said, "" if one.metadata == "{}" else one.metadata])
    return file.getvalue()


def write_yaml(row: MessageSet, whole: Whole) -> str:
    content = {
        "short_name": row.short_name,
        "label": row.label,
        "content_type": row.content_type,
        "notes": row.notes,
        "channel": row.channel,
        "messages": [_as_yaml(one) for one, _ in whole],
    }
    return msgspec.yaml.encode(content).decode()


def _as_yaml(one: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {"sequence_number": one.sequence_number, "lang": one.lang, "text_content": one.text_content}
    metadata = msgspec.json.decode(one.metadata)
    return {**shown, "metadata": metadata} if metadata != {} else shown


def read_file(content: bytes, kind: str) -> list[dict[str, Any]]:
    """The messages in it, each as a JSON body would have it.

    Raises Wrong that says what is wrong with the file.
    """
    try:
        text = content.decode("utf-8-sig")
        rows = list(islice(_from_csv(text) if kind == "csv" else _from_yaml(text), MOST_MESSAGES + 1))
    except UnicodeDecodeError:
        raise Wrong({"file": ["It is not UTF-8."]}) from None
    except (csv.Error, msgspec.DecodeError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise Wrong({"file": [f"It can't be read: {str(error)[:300]}"]}) from None
    if len(rows) > MOST_MESSAGES:
        raise Wrong({"file": [f"It has more than {MOST_MESSAGES} messages."]})
    return rows


def _from_csv(text: str) -> Iterable[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    lacking = {"sequence_number", "lang", "text_content"} - set(reader.fieldnames or ())
    if lacking:
        raise ValueError(
            f"the first line must name the columns {', '.join(COLUMNS)}; {', '.join(sorted(lacking))} lack"
        )
    for row in reader:
        said = row["text_content"] or ""
        metadata = row.get("metadata") or ""
        yield {
            "sequence_number": row["sequence_number"] or "",
            "lang": row["lang"] or "",
            "text_content": said[1:] if said.startswith("'") else said,
            "metadata": msgspec.json.decode(metadata) if metadata.strip() else {},
        }


def _from_yaml(text: str) -> Iterable[dict[str, Any]]:
    _check_yaml(text)
    content = msgspec.yaml.decode(text)
    listed = content.get("messages") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("it must have messages: a list, each with sequence_number, lang and text_content")
    return listed


def _check_yaml(text: str) -> None:
    """Raises ValueError for what would cost more to read than it is long: libyaml goes as deep as the text does, on the
    C stack, and a few lines of aliases can stand for gigabytes. Its events come one by one."""
    import yaml

    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases are not taken: write each message out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST}")
        if number > MOST_MESSAGES * _EVENTS_PER_MESSAGE:
            raise ValueError(f"it holds more than {MOST_MESSAGES} messages can")


def whole_set(tx: Transaction, namespace: str, id: int) -> tuple[MessageSet, Whole]:
    return messagesets.require(tx, namespace, id), messagesets.messages_of(tx, id)
