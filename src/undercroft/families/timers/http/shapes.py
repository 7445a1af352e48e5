"""What timers answer, as types: the wire format that OpenAPI describes."""

from typing import Literal

import msgspec


class Done(msgspec.Struct):
    status: Literal["ok"] = "ok"


class Created(msgspec.Struct, omit_defaults=True):
    """`id` only where it was made here."""

    status: str
    id: str | None = None


class RouteDone(msgspec.Struct, omit_defaults=True):
    """`secret` only where it was made just now: it is not shown again."""

    status: str
    secret: str | None = None


class Problem(msgspec.Struct):
    error: str
    """For people."""
    code: str
    """For programs: E001 and so on."""


class JobOut(msgspec.Struct):
    id: str
    trigger_time: int
    meta: msgspec.Raw
    route: str


class LastOutcome(msgspec.Struct):
    at: int
    took_ms: int
    status: int | None
    error: str | None


class JobDetail(JobOut):
    state: str
    attempts: int
    last_outcome: LastOutcome | None
    next_attempt: int | None
    """When it fires next, in milliseconds UTC; null when it does not."""
    reason: str | None
    created_at: int
    cron: str | None
    timezone: str | None
    retries: list[float] | None


class ListedJob(JobOut):
    state: str
    attempts: int


class JobList(msgspec.Struct):
    jobs: list[ListedJob]
    cursor: str | None


class BulkDone(msgspec.Struct):
    status: Literal["ok"]
    created: int
    ids: list[str]


class BulkItem(msgspec.Struct, omit_defaults=True):
    id: str | None
    status: Literal["ok", "refused"]
    error: str | None = None
    code: str | None = None


class BulkReport(msgspec.Struct):
    status: Literal["ok", "partial"]
    created: int
    results: list[BulkItem]


class Deleted(msgspec.Struct):
    status: Literal["ok"]
    deleted: int
    in_flight: int
    """Selected, but being delivered at this moment, and so left alone."""


class Moved(msgspec.Struct):
    status: Literal["ok"]
    moved: int


class MoveIn(msgspec.Struct, frozen=True):
    """One of the two."""

    trigger_time: int | None = None
    shift_ms: int | None = None


class AttemptOut(msgspec.Struct):
    attempt: int
    started_at: int
    took_ms: int
    status: int | None
    error: str | None
    reply: str | None


class AttemptList(msgspec.Struct):
    attempts: list[AttemptOut]
    cursor: str | None


class RouteOut(msgspec.Struct):
    id: str
    type: str
    webhook_url: str


class RouteDetail(RouteOut):
    secret: bool
    """Whether there is one; it is never shown."""
    headers: dict[str, str]
    timeout: float
    retries: list[float] | None
    concurrency: int
    rate: int | None
    paused: bool
    pause_reason: str | None
    method: str


class RouteList(msgspec.Struct):
    routes: list[RouteDetail]
    cursor: str | None


class DeadJob(JobOut):
    collection: str
    attempts: int
    died_at: int
    reason: str | None


class DeadList(msgspec.Struct):
    jobs: list[DeadJob]
    cursor: str | None


class ReplayIn(msgspec.Struct, frozen=True, rename={"died_from": "from", "died_to": "to"}):
    """By job id, or by the time of death in milliseconds UTC, [from, to)."""

    ids: list[str] | None = None
    died_from: int | None = None
    died_to: int | None = None
    collection: str | None = None
    route: str | None = None


class Replayed(msgspec.Struct):
    status: Literal["ok"]
    replayed: int


class CreateQuery(msgspec.Struct, forbid_unknown_fields=True):
    upsert: bool = False
    """Replace a job with the same id and other content."""
    late: Literal["fire"] | None = None
    """`fire`: a trigger_time in the past fires at once, whatever its age."""
    report: bool = False
    """Bulk: create what can be created and report on each item, instead of all or none."""


class UpdateQuery(msgspec.Struct, forbid_unknown_fields=True):
    late: Literal["fire"] | None = None


class DetailQuery(msgspec.Struct, forbid_unknown_fields=True):
    detail: bool = False


class ForceQuery(msgspec.Struct, forbid_unknown_fields=True):
    force: bool = False


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    limit: int = 100
    cursor: str | None = None


class SelectQuery(msgspec.Struct, forbid_unknown_fields=True):
    state: str | None = None
    after: int | None = None
    """trigger_time at or after this (ms)."""
    before: int | None = None
    """trigger_time before this (ms)."""
    route: str | None = None
    limit: int = 100
    cursor: str | None = None


class SelectAllQuery(msgspec.Struct, forbid_unknown_fields=True):
    state: str | None = None
    after: int | None = None
    before: int | None = None
    route: str | None = None
    all: bool = False
    """Needed where no other filter is given."""


class DeadQuery(msgspec.Struct, forbid_unknown_fields=True):
    collection: str | None = None
    route: str | None = None
    limit: int = 100
    cursor: str | None = None
