"""What is answered, as types: for OpenAPI. What is taken is said by `fields`; it is more forgiving than a type."""

from typing import Any

import msgspec


class Detail(msgspec.Struct):
    detail: str


class AnyQuery(msgspec.Struct):
    namespace: str = ""


class CursorQuery(msgspec.Struct):
    cursor: str = ""
    namespace: str = ""


class ListQuery(msgspec.Struct):
    """Unknown names are ignored, empty values too."""

    cursor: str = ""
    namespace: str = ""
    short_name: str = ""
    content_type: str = ""
    messageset: str = ""
    sequence_number: str = ""
    lang: str = ""


class SubscriptionQuery(msgspec.Struct):
    cursor: str = ""
    namespace: str = ""
    id: str = ""
    identity: str = ""
    version: str = ""
    messageset: str = ""
    schedule: str = ""
    initial_sequence_number: str = ""
    next_sequence_number: str = ""
    lang: str = ""
    active: str = ""
    completed: str = ""
    process_status: str = ""
    created_at: str = ""
    updated_at: str = ""
    created_after: str = ""
    created_before: str = ""
    metadata_has_key: str = ""
    metadata_not_has_key: str = ""
    messageset_contains: str = ""


class FileQuery(msgspec.Struct):
    to: str = "yaml"
    namespace: str = ""


class PreviewQuery(msgspec.Struct):
    limit: str = "100"
    namespace: str = ""


class Accepted(msgspec.Struct):
    accepted: bool


class Imported(msgspec.Struct):
    created: int
    changed: int


class Subscribers(msgspec.Struct):
    subscriptions: list[dict[str, Any]]


class Subscribed(msgspec.Struct):
    subscribed: int
    passed_by: int
    failed: list[dict[str, Any]]


class Schedule(msgspec.Struct):
    id: int
    minute: str
    hour: str
    day_of_week: str
    day_of_month: str
    month_of_year: str
    timezone: str


class MessageSet(msgspec.Struct):
    id: int
    short_name: str
    label: str
    content_type: str
    notes: str | None
    next_set: int | None
    default_schedule: int
    created_at: str
    updated_at: str
    channel: str | None
    quiet_from: str | None
    quiet_until: str | None
    dry_run: bool


class File(msgspec.Struct):
    id: int
    content: str


class Content(msgspec.Struct):
    id: int
    messageset: int
    sequence_number: int
    lang: str
    text_content: str | None
    binary_content: File | None
    created_at: str
    updated_at: str


class SetWithMessages(msgspec.Struct):
    id: int
    short_name: str
    notes: str | None
    next_set: int | None
    default_schedule: int
    messages: list[Content]
    created_at: str
    updated_at: str


class Message(msgspec.Struct):
    id: int
    messageset: int
    sequence_number: int
    lang: str
    metadata: Any
    text_content: str | None
    binary_content: int | None
    created_at: str
    updated_at: str


class Subscription(msgspec.Struct):
    url: str
    id: str
    version: int
    identity: str
    messageset: int
    next_sequence_number: int
    lang: str
    active: bool
    completed: bool
    schedule: int
    process_status: int
    metadata: Any
    created_at: str
    updated_at: str
    initial_sequence_number: int
    messageset_label: str


class Rule(msgspec.Struct):
    id: int
    name: str
    event: str
    messageset: int | None
    number: int | None
    address_type: str | None
    field: str | None
    value: Any
    lang: str | None
    conditions: dict[str, Any]
    action: str
    target: int
    schedule: int | None
    first_number: int
    default_lang: str | None
    active: bool
    fired: int
    created_at: str
    updated_at: str


class Decided(msgspec.Struct):
    identity: str
    lang: str | None
    outcome: str


class Previewed(msgspec.Struct):
    """`leads_back`: whom the rule subscribes comes back to where it began, until the chain has its full length."""

    leads_back: bool
    next: str | None
    previous: None
    results: list[Decided]


class Applied(msgspec.Struct):
    """How often each outcome came of it."""

    outcomes: dict[str, int]


class Page(msgspec.Struct):
    next: str | None
    previous: str | None
    results: list[dict[str, Any]]


class Schedules(Page):
    results: list[Schedule]  # type: ignore[assignment]


class MessageSets(Page):
    results: list[MessageSet]  # type: ignore[assignment]


class Messages(Page):
    results: list[Message]  # type: ignore[assignment]


class Files(Page):
    results: list[File]  # type: ignore[assignment]


class Subscriptions(Page):
    results: list[Subscription]  # type: ignore[assignment]


class Rules(Page):
    results: list[Rule]  # type: ignore[assignment]
