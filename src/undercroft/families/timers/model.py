"""Jobs and routes as the timers document has them, and their rules. Pure: data in, decision out.

Source of the rules: the seed document and the decisions of the timers contract.
"""

import math
from functools import lru_cache
from typing import Any

import msgspec

from undercroft.base.clock import END_OF_TIME, SECOND
from undercroft.base.refusals import invalid
from undercroft.machinery.recurrence import next_occurrence

LONGEST_ID = 512
LONGEST_NAMESPACE = 128
LONGEST_META = 2**20
MOST_IN_BULK = 10_000
# A trigger_time this far in the past fires at once: clocks of clients are not ours (ms).
CLOCK_SKEW = 5 * SECOND
MOST_RETRIES = 50
LONGEST_PAUSE = 30 * 86_400

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType


class JobIn(msgspec.Struct, frozen=True):
    """A job as it is sent to us; `trigger_ms` is an alias of `trigger_time`."""

    id: str | None = None
    trigger_time: int | None = None
    trigger_ms: int | None = None
    meta: msgspec.Raw | UnsetType = UNSET
    route: str | None = None
    cron: str | None = None
    timezone: str | None = None
    retries: list[float] | None = None
    idempotency_key: str | None = None

    def moment(self) -> int | None:
        return self.trigger_time if self.trigger_time is not None else self.trigger_ms


class RouteIn(msgspec.Struct, frozen=True):
    """A route as it is sent to us. What is absent from a PUT stays as it is."""

    id: str | None = None
    type: str | UnsetType = UNSET
    webhook_url: str | UnsetType = UNSET
    secret: bool | str | UnsetType | None = UNSET
    headers: dict[str, str] | UnsetType | None = UNSET
    timeout: float | UnsetType | None = UNSET
    retries: list[float] | UnsetType | None = UNSET
    concurrency: int | UnsetType | None = UNSET
    rate: int | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    method: str | UnsetType | None = UNSET


class Recurrence(msgspec.Struct, frozen=True, omit_defaults=True):
    """The options of a job that are stored with its delivery."""

    cron: str | None = None
    timezone: str | None = None
    retries: tuple[float, ...] | None = None


class Job(msgspec.Struct, frozen=True):
    """A job that passed every check which needs nothing but itself."""

    id: str
    trigger_time: int
    meta: str
    route: str
    options: str | None
    recurring: bool
    idempotency_key: str | None


_encode = msgspec.json.encode


def check_job(job: JobIn, made_id: str, now: int, *, late: bool) -> Job:
    """A job ready to be stored; `made_id` is used where it brings none. `late`: fire whatever its age.

    Raises Refusal with the code of the first rule that it breaks, in the order id, trigger_time, route, the rest.
    """
    id = made_id if job.id is None else check_id(job.id)
    trigger_time = _check_trigger_time(job, now, late)
    if not job.route:
        raise invalid("route", "route is missing: name the route that the job goes to")
    if len(job.route) > LONGEST_ID or "\x00" in job.route:
        raise invalid("route", f"route may not be longer than {LONGEST_ID} bytes")
    if job.idempotency_key is not None and not 0 < len(job.idempotency_key) <= 256:
        raise invalid("body", "idempotency_key takes 1 to 256 letters")
    if job.idempotency_key is not None and "\x00" in job.idempotency_key:
        raise invalid("body", "idempotency_key may not hold the NUL character")
    raw = b"null" if job.meta is UNSET else bytes(job.meta)
    if len(raw) > LONGEST_META:
        raise invalid("meta", f"meta is larger than {LONGEST_META} bytes; store it elsewhere and send its address")
    meta = raw.decode()
    recurring = job.cron is not None
    return Job(id, trigger_time, meta, job.route, _options(job), recurring, job.idempotency_key)


def check_id(id: str) -> str:
    if not id or "\x00" in id or len(id) > LONGEST_ID or len(id.encode()) > LONGEST_ID:
        raise invalid("id", f"invalid job id: 1 to {LONGEST_ID} bytes, without the NUL character")
    return id


@lru_cache(1_000)
def check_namespace(db: str, collection: str = "-") -> None:
    for what, name in (("db", db), ("collection", collection)):
        if not name or "\x00" in name or len(name.encode()) > LONGEST_NAMESPACE:
            raise invalid("namespace", f"invalid {what}: 1 to {LONGEST_NAMESPACE} bytes, without the NUL character")


def check_retries(retries: list[float] | None) -> tuple[float, ...] | None:
    """Pauses in seconds; an empty list means a single attempt."""
    if retries is None:
        return None
    if len(retries) > MOST_RETRIES or not all(math.isfinite(r) and 0 <= r <= LONGEST_PAUSE for r in retries):
        raise invalid("retries", f"retries are up to {MOST_RETRIES} pauses of 0 to {LONGEST_PAUSE} seconds")
    return tuple(retries)


def _check_trigger_time(job: JobIn, now: int, late: bool) -> int:
    given = job.moment()
    if given is not None and not 0 <= given <= END_OF_TIME:
        raise invalid("trigger_time", "trigger_time is in milliseconds since 1970, up to the year 9999")
    if job.cron is not None:
        return next_occurrence(job.cron, job.timezone, max(now, (given or now) - 1))
    if job.timezone is not None:
        raise invalid("cron", "timezone goes with cron; trigger_time is in UTC anyway")
    if given is None:
        raise invalid("trigger_time", "trigger_time is missing: when to fire, in milliseconds since 1970")
    if given < now - CLOCK_SKEW and not late:
        raise invalid("past", "trigger_time is in the past; ?late=fire fires it at once")
    return given


def _options(job: JobIn) -> str | None:
    if job.cron is None and job.retries is None:
        return None
    return _encode(Recurrence(job.cron, job.timezone, check_retries(job.retries))).decode()


_decode_options = msgspec.json.Decoder(Recurrence)


def options_of(stored: str | None) -> Recurrence:
    return _decode_options.decode(stored) if stored else Recurrence()


def merge(update: JobIn, stored: dict[str, Any]) -> JobIn:
    """What a PUT leaves out stays as it is stored."""
    given = {name: value for name, value in msgspec.structs.asdict(update).items() if value not in (None, UNSET)}
    if "trigger_ms" in given:
        given.setdefault("trigger_time", given.pop("trigger_ms"))
    if "cron" in given or "timezone" in given:  # the moment of the old schedule says nothing about the new one
        stored = {**stored, "trigger_time": None}
    elif "trigger_time" in given:
        stored = {**stored, "cron": None, "timezone": None}
    return JobIn(**{**stored, **given})
