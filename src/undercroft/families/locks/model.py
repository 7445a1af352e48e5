"""Locks as the systems document has them, and their rules. Pure: data in, decision out.

Source of the rules: the seed document and the decisions of the contract on locks and mail.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from undercroft.base.clock import END_OF_TIME, SECOND
from undercroft.base.refusals import invalid
from undercroft.machinery.leases.model import Span

FAMILY = "locks"
LONGEST_NAME = 255
LONGEST_OWNER = 255
LONGEST_TOKEN = 255
LONGEST_KEY = 255
# A hundred years, in seconds.
LONGEST_TTL = 3_155_760_000
LONGEST_WAIT = 60
LONGEST_DELAY = 3_600
# Epoch numbers below this are seconds (until the year 5138), from here on milliseconds (since 1973).
_FIRST_EPOCH_MS = 100_000_000_000

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)? ?(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_PRINTABLE = re.compile(r"[!-~]+")


class LockIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lock as it is asked for. What is not known is refused: a `ttl` with a typing error would never end."""

    name: str | None = None
    expires_at: str | int | float | None = None
    ttl: int | float | None = None
    owner: str | None = None
    token: str | None = None
    wait: int | float | None = None
    lock_delay: int | float | None = None
    require_token: bool | None = None
    details: bool = False
    namespace: str | None = None


class RenewIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str | None = None
    ttl: int | float | None = None
    expires_at: str | int | float | None = None
    details: bool = False
    namespace: str | None = None


class Rules(NamedTuple):
    """What the settings say. `default_ttl` and `maximum_ttl` are in ms, 0 for none."""

    zone: ZoneInfo = ZoneInfo("UTC")
    default_ttl: int = 0
    maximum_ttl: int = 0
    require_token: bool = False


def check_name(name: str | None) -> str:
    if not name:
        raise invalid("name", "name is missing: name what the lock is on, such as products_sync")
    if len(name) > LONGEST_NAME or "\x00" in name:
        raise invalid("name", f"name may have {LONGEST_NAME} letters, and not the NUL character")
    return name


def check_owner(owner: str | None) -> str | None:
    if owner is not None and (len(owner) > LONGEST_OWNER or "\x00" in owner):
        raise invalid("owner", f"owner may have {LONGEST_OWNER} letters, and not the NUL character")
    return owner


def check_token(token: str | None) -> str | None:
    if token is not None and (len(token) > LONGEST_TOKEN or not _PRINTABLE.fullmatch(token)):
        raise invalid("token", "a token is what X-Lock-Token said when the lock was obtained")
    return token


def check_key(key: str | None) -> str | None:
    if key is not None and (len(key) > LONGEST_KEY or not _PRINTABLE.fullmatch(key)):
        raise invalid("key", f"an Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters, no blanks")
    return key


def seconds_in(given: float | None, code: str, most: int) -> int:
    """Milliseconds of a number of seconds from 0 on; 0 where none is given."""
    if given is None:
        return 0
    if not 0 <= given <= most:
        raise invalid(code, f"{code} is a number of seconds from 0 to {most}")
    return round(given * SECOND)


def span_of(asked: LockIn | RenewIn, rules: Rules, now: int) -> Span:
    """How long it is asked for, within what the settings allow. `now`: milliseconds UTC.

    Raises Refusal: "ttl", "expires_at" or, for longer than the settings allow, "maximum". Whether it is past is seen
    when it is granted.
    """
    span = _asked_span(asked, rules)
    asked_for = span.ttl if span.ends_at is None else span.ends_at - now
    if rules.maximum_ttl and asked_for is not None and asked_for > rules.maximum_ttl:
        raise invalid("maximum", f"locks last {rules.maximum_ttl / SECOND:g} seconds at the most here; renew instead")
    return span


def _asked_span(asked: LockIn | RenewIn, rules: Rules) -> Span:
    if asked.ttl is not None:
        if asked.expires_at is not None:
            raise invalid("ttl", "send either ttl or expires_at, not both")
        ttl = round(asked.ttl * SECOND) if 0 < asked.ttl <= LONGEST_TTL else 0
        if ttl < 1:
            raise invalid("ttl", f"ttl is a number of seconds, above 0 and up to {LONGEST_TTL}")
        return Span(ttl=ttl)
    if asked.expires_at is not None:
        return Span(ends_at=moment(asked.expires_at, rules.zone))
    return Span(ttl=rules.default_ttl or rules.maximum_ttl or None)


def moment(given: str | float, zone: ZoneInfo) -> int:
    """Milliseconds UTC of `YYYY-MM-DD HH:MM:SS` in this zone (of a time that comes twice the first), of ISO 8601 with
    an offset, or of an epoch number in seconds or milliseconds.

    Raises Refusal(INVALID, "expires_at").
    """
    ms = _epoch(given) if isinstance(given, int | float) else _written(given, zone)
    if ms is None or not 0 <= ms <= END_OF_TIME:
        raise invalid(
            "expires_at",
            "expires_at is written 2030-07-08 18:00:00, 2030-07-08T18:00:00+02:00, or as an epoch number in seconds"
            " or milliseconds",
        )
    return ms


def _epoch(number: float) -> int | None:
    if not 0 <= number <= END_OF_TIME:
        return None
    return round(number if number >= _FIRST_EPOCH_MS else number * SECOND)


def _written(text: str, zone: ZoneInfo) -> int | None:
    found = _MOMENT.fullmatch(text.strip()) if len(text) < 64 else None
    if found is None:
        return None
    day, minute, second, offset = found.groups()
    offset = "+00:00" if (offset or "").upper() in ("Z", "UTC") else offset or ""
    try:
        written = datetime.fromisoformat(f"{day}T{minute}{second or ':00'}{offset}")
        local = written if written.tzinfo else written.replace(tzinfo=zone)
        return round(local.timestamp() * SECOND)
    except (ValueError, OverflowError, OSError):
        return None


def shown_end(ms: int | None) -> str | None:
    """The document's form, in UTC, never later than it is."""
    return None if ms is None else _text(ms // SECOND)


def shown_return(ms: int | None) -> str | None:
    """The same, never earlier: who comes back then finds it free."""
    return None if ms is None else _text(-(-ms // SECOND))


@lru_cache(maxsize=1_024)
def _text(seconds: int) -> str:
    seconds = min(max(seconds, 0), END_OF_TIME // SECOND)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
