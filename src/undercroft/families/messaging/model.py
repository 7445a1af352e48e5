"""What is kept, row by row, and the rules that need nothing but a row's own values. Times are milliseconds UTC."""

import re
from typing import NamedTuple

import msgspec

TEXT, AUDIO = "text", "audio"

# process_status. Others than these mean "not ready", whatever an operator means by them. (contract §6)
NO_ADDRESS = -1
READY = 0
COMPLETED = 2


class Schedule(NamedTuple):
    """Five fields of cron, in a time zone."""

    id: int
    namespace: str
    minute: str
    hour: str
    day_of_week: str
    day_of_month: str
    month_of_year: str
    timezone: str
    created_at: int

    @property
    def cron(self) -> str:
        fields = (self.minute, self.hour, self.day_of_month, self.month_of_year, self.day_of_week)
        return " ".join(field.replace(" ", "") for field in fields)

    @property
    def has_one_time_of_day(self) -> bool:
        return self.minute.strip().isdigit() and self.hour.strip().isdigit()


class MessageSet(NamedTuple):
    """`quiet_from`, `quiet_until`: 21:00, the hours of the receiver's day in which nothing is sent."""

    id: int
    namespace: str
    short_name: str
    label: str
    content_type: str
    notes: str | None
    next_set: int | None
    default_schedule: int
    channel: str | None
    quiet_from: str | None
    quiet_until: str | None
    dry_run: int
    created_at: int
    updated_at: int


class Message(NamedTuple):
    """`metadata` is JSON."""

    id: int
    namespace: str
    messageset: int
    sequence_number: int
    lang: str
    metadata: str
    text_content: str | None
    binary_content: int | None
    created_at: int
    updated_at: int


class Binary(NamedTuple):
    """`name` of its file, and in its URL."""

    id: int
    namespace: str
    name: str
    type: str
    size: int
    created_at: int


class Subscription(NamedTuple):
    """`number` is ours and gives the order; `under_way` is the turn that has not had its end, 0 for none;
    so many rules led to it: `rule_depth`."""

    number: int
    id: str
    namespace: str
    version: int
    identity: str
    messageset: int
    next_sequence_number: int
    lang: str
    active: int
    completed: int
    schedule: int
    process_status: int
    metadata: str | None
    metadata_keys: str
    initial_sequence_number: int
    created_at: int
    updated_at: int
    turns: int
    under_way: int
    rule_depth: int

    @property
    def is_ready(self) -> bool:
        return self.process_status == READY and bool(self.active) and not self.completed


# What a run is for: one firing of a schedule, or one search for who is behind.
SEND, FIND = 0, 1


class Run(NamedTuple):
    """`left_house`: first attempts that have had an end."""

    id: int
    namespace: str
    purpose: int
    schedule: int | None
    planned_at: int | None
    started_at: int
    position: int
    last: int
    steps: int
    stepped_at: int
    queued: int
    left_house: int
    skipped: int
    finished_at: int | None


class Behind(NamedTuple):
    id: int
    namespace: str
    subscription: str
    messages_behind: int
    current_messageset: int
    current_sequence_number: int
    expected_messageset: int
    expected_sequence_number: int
    created_at: int


class Person(NamedTuple):
    """Whom an identity means: a row of the built-in directory."""

    number: int
    namespace: str
    id: str
    lang: str | None
    timezone: str | None
    metadata: str
    created_at: int
    updated_at: int


class Address(NamedTuple):
    identity: int
    kind: str
    address: str
    is_default: int
    timezone: str | None


EMAIL, MSISDN = "email", "msisdn"
_EMAIL = re.compile(r"[^\s@,;<>\"\\]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_PHONE = re.compile(r"\+?[0-9]{6,15}")


def kind_of_address(text: str) -> str | None:
    """email or msisdn, None for what can be no address."""
    if len(text) <= 254 and _EMAIL.fullmatch(text):
        return EMAIL
    return MSISDN if _PHONE.fullmatch(text) else None


def metadata_keys(metadata: str | None) -> str:
    """The keys of a JSON object, each as JSON between line ends; empty for what is none."""
    if metadata is None or not metadata.startswith("{") or metadata == "{}":
        return ""
    return "\n" + "".join(f"{json_key(key)}\n" for key in msgspec.json.decode(metadata))


def json_key(key: str) -> str:
    return msgspec.json.encode(key).decode()


# Letters that cost twice where messages are short, or arrive as boxes. (contract §5 message)
_SPECIAL = re.compile("[“”’–]")
_BREAKS_WHATSAPP = re.compile(r"[\n\t]|\s{4}")


def special_letters(text: str) -> str:
    """Each occurrence, in order, with blanks between; empty for none."""
    return " ".join(_SPECIAL.findall(text))


def breaks_whatsapp(text: str) -> bool:
    return _BREAKS_WHATSAPP.search(text) is not None
