"""The field rules of every resource, said once; what they refuse is worded as the contract has it. (contract §4)

A reader takes what JSON or a form gave and returns what is kept, or raises Bad.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

import msgspec
from cronsim import CronSim, CronSimError

from undercroft.families.messaging.given import Given
from undercroft.families.messaging.hours import is_zone
from undercroft.families.messaging.model import AUDIO, TEXT, special_letters

INT32 = 2**31 - 1
# Letters. Each message that is sent has a copy of its text, and a page shows a thousand rows.
LONGEST_TEXT, LONGEST_JSON = 65_536, 16_384
Read = Callable[[Any], Any]


class Bad(Exception):
    """The message is what the caller is told."""


class Field(NamedTuple):
    """`null`: null may stand there. `in_form`: what a form means that leaves it out, as a checkbox does."""

    name: str
    read: Read
    required: bool = False
    null: bool = False
    in_form: Any = None


def read_fields(fields: tuple[Field, ...], body: Mapping[str, Any], *, partial: bool, is_form: bool = False) -> Given:
    """What is known is read, what is unknown is ignored. `partial`: nothing is required."""
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for field in fields:
        try:
            if field.name in body:
                values[field.name] = _read(field, body[field.name])
            elif is_form and not partial and field.in_form is not None:
                values[field.name] = field.in_form
            elif field.required and not partial:
                raise Bad("This field is required.")
        except Bad as bad:
            errors[field.name] = [str(bad)]
    return Given(values, errors)


def _read(field: Field, value: Any) -> Any:
    if value is not None:
        return field.read(value)
    if not field.null:
        raise Bad("This field may not be null.")
    return None


def text(longest: int | None, *, blank: bool = False) -> Read:
    def read(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Bad("Not a valid string.")
        words = str(value).strip() if isinstance(value, str) else _number_text(value)
        if "\x00" in words:
            raise Bad("Null characters are not allowed.")
        if not words and not blank:
            raise Bad("This field may not be blank.")
        if longest is not None and len(words) > longest:
            raise Bad(f"Ensure this field has no more than {longest} characters.")
        return words

    return read


def _number_text(value: float) -> str:
    try:
        return str(value)
    except ValueError:  # thousands of digits
        raise Bad("Not a valid string.") from None


def integer(value: Any) -> int:
    number = _whole(value)
    if number > INT32:
        raise Bad(f"Ensure this value is less than or equal to {INT32}.")
    if number < -INT32 - 1:
        raise Bad(f"Ensure this value is greater than or equal to {-INT32 - 1}.")
    return number


def _whole(value: Any) -> int:
    if isinstance(value, str) and len(value) > 1_000:
        raise Bad("String value too large.")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", value, re.ASCII):
        return int(value.strip().partition(".")[0])
    raise Bad("A valid integer is required.")


_TRUE = {"t", "true", "y", "yes", "1", "on"}
_FALSE = {"f", "false", "n", "no", "0", "off"}


def boolean(value: Any) -> int:
    """Kept as 0 or 1."""
    word = value.lower() if isinstance(value, str) else str(int(value)) if value in (True, False) else None
    if word in _TRUE:
        return 1
    if word in _FALSE:
        return 0
    raise Bad("Must be a valid boolean.")


def choice(*choices: str) -> Read:
    def read(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        raise Bad(f'"{shown}" is not a valid choice.')

    return read


def key(*, null: bool = False) -> Read:
    """Another row's id. Whether there is such a row is found out where it is used."""

    def read(value: Any) -> int | None:
        if isinstance(value, str) and not value.strip():
            if null:
                return None
            raise Bad("This field may not be null.")
        number = _key(value)
        if number is None:
            raise Bad(f"Incorrect type. Expected pk value, received {_kind(value)}.")
        if abs(number) >= 2**63:
            raise Bad(f'Invalid pk "{str(value)[:50]}" - object does not exist.')
        return number

    return read


def _key(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,30}\s*", value, re.ASCII):
        return int(value)
    return None


def _kind(value: Any) -> str:
    return type(value).__name__


def anything(value: Any) -> str:
    """Any JSON, kept as such."""
    try:
        written = msgspec.json.encode(value).decode()
    except (OverflowError, RecursionError, TypeError, ValueError):
        raise Bad("Value must be valid JSON.") from None
    if len(written) > LONGEST_JSON:
        raise Bad(f"Ensure this field has no more than {LONGEST_JSON} characters.")
    return written


def message_text(value: Any) -> str:
    words: str = text(LONGEST_TEXT, blank=True)(value)
    special = special_letters(words)
    if special:
        raise Bad(f'Text "{words}" has special characters which can be replaced: {special}')
    return words


def cron_field(position: int) -> Read:
    """One of the five fields of a cron expression, whose place in it is this."""

    def read(value: Any) -> str:
        words: str = text(64)(value)
        fields = ["*"] * 5
        fields[position] = words.replace(" ", "")
        try:
            CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise Bad(f'"{words}" is no cron field: {error}. Write *, 8, 1-5, */15 or 1,3.') from None
        return words

    return read


def timezone(value: Any) -> str:
    name: str = text(64)(value)
    if not is_zone(name):
        raise Bad(f'"{name}" is not one of the IANA names of time zones, like Africa/Johannesburg.')
    return name


def time_of_day(value: Any) -> str | None:
    words: str = text(5, blank=True)(value)
    if not words:
        return None
    try:
        return time.fromisoformat(words).strftime("%H:%M")
    except ValueError:
        raise Bad(f'"{words}" is no time of day. Write it as 21:00.') from None


SCHEDULE = (
    Field("minute", cron_field(0)),
    Field("hour", cron_field(1)),
    Field("day_of_week", cron_field(4)),
    Field("day_of_month", cron_field(2)),
    Field("month_of_year", cron_field(3)),
    Field("timezone", timezone),
)
MESSAGE_SET = (
    Field("short_name", text(100), required=True),
    Field("label", text(100, blank=True)),
    Field("content_type", choice(TEXT, AUDIO)),
    Field("notes", text(LONGEST_TEXT, blank=True), null=True),
    Field("next_set", key(null=True), null=True),
    Field("default_schedule", key(), required=True),
    Field("channel", text(64, blank=True), null=True),
    Field("quiet_from", time_of_day, null=True),
    Field("quiet_until", time_of_day, null=True),
    Field("dry_run", boolean),
)
MESSAGE = (
    Field("messageset", key(), required=True),
    Field("sequence_number", integer, required=True),
    Field("lang", text(6), required=True),
    Field("metadata", anything),
    Field("text_content", message_text, null=True),
    Field("binary_content", key(null=True), null=True),
)
SUBSCRIPTION = (
    Field("version", integer),
    Field("identity", text(36), required=True),
    Field("messageset", key(), required=True),
    Field("next_sequence_number", integer),
    Field("lang", text(6), required=True),
    Field("active", boolean, in_form=0),
    Field("completed", boolean, in_form=0),
    Field("schedule", key(), required=True),
    Field("process_status", integer),
    Field("metadata", anything, null=True),
    Field("initial_sequence_number", integer),
)
