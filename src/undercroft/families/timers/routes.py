"""Routes: where jobs go. A route is a delivery target of this family; here are its words and limits."""

import math
from typing import Any, NamedTuple

import msgspec

from undercroft.base.refusals import conflict, invalid, not_found
from undercroft.database import Transaction
from undercroft.families.timers.actions import FAMILY
from undercroft.families.timers.model import LONGEST_ID, UNSET, RouteIn, check_retries
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.lanes import DEFAULT_CONCURRENCY
from undercroft.machinery.deliveries.model import Target, TargetSettings
from undercroft.machinery.deliveries.signatures import new_signing_secret, signing_key
from undercroft.machinery.deliveries.webhook import (
    METHODS,
    WebhookAddress,
    address_in,
    address_json,
    check_headers,
    check_url,
)

MOST_CONCURRENT = 1_000
# Stands for the value of a header that is shown to nobody.
MASKED = "(set, not shown)"
HIGHEST_RATE = 100_000
_TYPES = ("rest", "http")


class Route(NamedTuple):
    """A route that passed every check."""

    id: str
    address: WebhookAddress
    timeout: float
    retries: tuple[float, ...] | None
    shown: dict[str, Any]
    concurrency: int
    rate: int | None
    paused: bool


def check_route_id(id: str | None) -> str:
    if not id or "\x00" in id or len(id.encode()) > LONGEST_ID:
        raise invalid("route_id", f"invalid route id: 1 to {LONGEST_ID} bytes, without the NUL character")
    return id


def check_route(route: RouteIn, stored: Target | None, default_scheme: str) -> Route:
    """What the route will be; from `stored` where the input leaves something out.

    Raises Refusal with the code of the first rule that it breaks.
    """
    id = check_route_id(route.id)
    before = stored.settings if stored else TargetSettings()
    address = address_in(before)
    if stored is None and route.type is UNSET:
        raise invalid("type", "invalid route type; only REST is there")
    if route.type is not UNSET and route.type.lower() not in _TYPES:
        raise invalid("type", "invalid route type; only REST is there")
    shown = before.shown
    url = address.url
    if route.webhook_url is not UNSET:
        url = check_url(route.webhook_url, default_scheme)
        shown = {"webhook_url": route.webhook_url}
    if not url:
        raise invalid("url", "webhook_url is missing: the address to call")
    secret, old_secret = _secrets(route.secret, address)
    headers = address.headers if route.headers is UNSET else _unmasked(route.headers or {}, address)
    check_headers(headers)
    retries = before.retries if route.retries is UNSET else check_retries(route.retries)
    new = WebhookAddress(url, _method(route, address), headers, secret, old_secret)
    paused = (stored is not None and stored.paused_at is not None) if route.paused is UNSET else route.paused
    limits = (_concurrency(route, stored), _rate(route, stored))
    return Route(id, new, _timeout(route, before), retries, shown, *limits, paused)


def create_route(tx: Transaction, db: str, route: RouteIn, default_scheme: str, now: int) -> str | None:
    """Make the route, or make it anew with exactly what is given; a secret made just now, or None.

    A secret that a route already has is kept when one is merely asked for, and one that is paused stays so unless
    `paused` is given, so that a set-up script may run twice.
    """
    known = targets.find_target(tx, FAMILY, db, check_route_id(route.id))
    checked = check_route(route, None, default_scheme)
    if route.paused is UNSET and known is not None:
        checked = checked._replace(paused=known.paused_at is not None)
    before = address_in(known.settings) if known else WebhookAddress()
    if route.secret is True and before.secret:
        kept = msgspec.structs.replace(checked.address, secret=before.secret, old_secret=before.old_secret)
        _put(tx, db, checked._replace(address=kept), now)
        return None
    _put(tx, db, checked, now)
    return checked.address.secret if route.secret is True else None


def update_route(tx: Transaction, db: str, id: str, route: RouteIn, default_scheme: str, now: int) -> str | None:
    """Change what the input names; a secret made just now, or None. The secret before it signs too, until the next."""
    known = require_route(tx, db, id)
    checked = check_route(route, known, default_scheme)
    _put(tx, db, checked, now)
    return checked.address.secret if route.secret is True else None


def delete_route(tx: Transaction, db: str, id: str, now: int, *, force: bool) -> None:
    """Jobs that still wait for a route deleted by force go to the dead letters when they are due."""
    known = require_route(tx, db, id)
    if not force and targets.has_pending(tx, known.id):
        raise conflict(
            "pending",
            f"the route {id!r} has pending jobs; ?force=1 deletes it and lets them die when they are due",
        )
    targets.remove_target(tx, known.id, now)


def pause_route(tx: Transaction, db: str, id: str, paused: bool, now: int) -> None:
    known = require_route(tx, db, id)
    targets.pause_target(tx, known.id, now if paused else None, "paused by hand" if paused else None)


def require_route(tx: Transaction, db: str, id: str) -> Target:
    found = targets.find_target(tx, FAMILY, db, id)
    if found is None:
        raise not_found("unknown_route", f"there is no route {id!r} in {db!r}")
    return found


def find_any_route(tx: Transaction, db: str, id: str) -> Target | None:
    """The route, even one that was removed: its dead letters are still there."""
    return targets.find_target(tx, FAMILY, db, id, even_removed=True)


def _put(tx: Transaction, db: str, route: Route, now: int) -> None:
    targets.put_target(
        tx,
        (FAMILY, db, route.id),
        "webhook",
        TargetSettings(address_json(route.address), route.timeout, route.retries, route.shown),
        concurrency=route.concurrency,
        rate=route.rate,
        paused_at=now if route.paused else None,
        now=now,
    )


def _unmasked(given: dict[str, str], before: WebhookAddress) -> dict[str, str]:
    """A value that was read from us, masked, and is sent back means: as it was."""
    return {name: before.headers.get(name, value) if value == MASKED else value for name, value in given.items()}


def _secrets(given: object, before: WebhookAddress) -> tuple[str | None, str | None]:
    if given is UNSET:
        return before.secret, before.old_secret
    if given is None or given is False:
        return None, None
    secret = new_signing_secret() if given is True else str(given)
    signing_key(secret)
    return secret, before.secret if before.secret != secret else before.old_secret


def _method(route: RouteIn, before: WebhookAddress) -> str:
    if route.method is UNSET:
        return before.method
    method = (route.method or "POST").upper()
    if method not in METHODS:
        raise invalid("limits", f"method is one of {', '.join(METHODS)}")
    return method


def _timeout(route: RouteIn, before: TargetSettings) -> float:
    if route.timeout is UNSET:
        return before.timeout
    timeout = 15.0 if route.timeout is None else route.timeout
    if not (math.isfinite(timeout) and 0.1 <= timeout <= LONGEST_TIMEOUT):
        raise invalid("limits", f"timeout is 0.1 to {LONGEST_TIMEOUT:g} seconds")
    return timeout


def _concurrency(route: RouteIn, stored: Target | None) -> int:
    if route.concurrency is UNSET or route.concurrency is None:
        return stored.concurrency if stored and route.concurrency is UNSET else DEFAULT_CONCURRENCY
    if not 1 <= route.concurrency <= MOST_CONCURRENT:
        raise invalid("limits", f"concurrency is 1 to {MOST_CONCURRENT} calls at once")
    return route.concurrency


def _rate(route: RouteIn, stored: Target | None) -> int | None:
    if route.rate is UNSET:
        return stored.rate if stored else None
    if route.rate is not None and not 1 <= route.rate <= HIGHEST_RATE:
        raise invalid("limits", f"rate is 1 to {HIGHEST_RATE} calls per second")
    return route.rate
