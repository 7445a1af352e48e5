"""Filters of lists: exact, all of them together; empty ones are none, unknown names are ignored. (contract §4, §5)"""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.tables import Condition

Read = Callable[[str], Any]
NO_CHOICE = "Select a valid choice. That choice is not one of the available choices."


class BadFilter(Exception):
    """The message is what the caller is told."""


class Nothing(Exception):
    """Read, and means no filter."""


def read_filters(rules: Mapping[str, tuple[str, Read]], given: Mapping[str, str]) -> list[Condition]:
    """Raises Wrong with every filter that can't be read. A rule is a piece of SQL, and how its value is read."""
    conditions: list[Condition] = []
    errors: dict[str, list[str]] = {}
    for name, (sql, read) in rules.items():
        value = given.get(name, "")
        if not value:
            continue
        try:
            conditions.append((sql, read(value)))
        except BadFilter as bad:
            errors[name] = [str(bad)]
        except Nothing:
            continue
    if errors:
        raise Wrong(errors)
    return conditions


def word(value: str) -> str:
    return value


def number(value: str) -> int:
    found = re.fullmatch(r"\s*([+-]?\d{1,18})(\.0*)?\s*", value, re.ASCII)
    if found is None:
        raise BadFilter("Enter a number.")
    return int(found[1])


def key(value: str) -> int:
    """Whether there is such a row is asked by `known_keys`."""
    if not re.fullmatch(r"\d{1,18}", value, re.ASCII):
        raise BadFilter(NO_CHOICE)
    return int(value)


def any_uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise BadFilter("Enter a valid UUID.") from None


def boolean(value: str) -> int:
    """Whatever is neither true nor false is no filter at all. [R]"""
    meaning = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.lower())
    if meaning is None:
        raise Nothing
    return meaning


def one_of(*choices: str) -> Read:
    def read(value: str) -> str:
        if value not in choices:
            raise BadFilter("Select a valid choice. %(value)s is not one of the available choices.")
        return value

    return read


def moment(value: str) -> int:
    """An ISO date-time; without a zone it is UTC."""
    try:
        if not re.match(r"\d{4}-\d\d?-\d\d?[T ]\d", value):
            raise ValueError(value)
        read = datetime.fromisoformat(value)
        milliseconds = round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise BadFilter("Enter a valid date/time.") from None
    return milliseconds


MESSAGE_SET = {
    "short_name": ("short_name = :{}", word),
    "content_type": ("content_type = :{}", one_of("text", "audio")),
}
MESSAGE = {
    "messageset": ("messageset = :{}", key),
    "sequence_number": ("sequence_number = :{}", number),
    "lang": ("lang = :{}", word),
}
SUBSCRIPTION = {
    "id": ("id = :{}", any_uuid),
    "identity": ("identity = :{}", word),
    "version": ("version = :{}", number),
    "messageset": ("messageset = :{}", key),
    "schedule": ("schedule = :{}", key),
    "initial_sequence_number": ("initial_sequence_number = :{}", number),
    "next_sequence_number": ("next_sequence_number = :{}", number),
    "lang": ("lang = :{}", word),
    "active": ("active = :{}", boolean),
    "completed": ("completed = :{}", boolean),
    "process_status": ("process_status = :{}", number),
    "created_at": ("created_at = :{}", moment),
    "updated_at": ("updated_at = :{}", moment),
    "created_after": ("created_at >= :{}", moment),
    "created_before": ("created_at <= :{}", moment),
}
