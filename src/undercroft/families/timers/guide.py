"""What the docs say about timers, beside the operations themselves: plain data. A test runs every example."""

from typing import Any

from undercroft.base.clock import HOUR
from undercroft.families.timers.refusing import CODES
from undercroft.machinery.guide import Example, Guide

ABOUT = "Call this webhook at that moment, once or again and again; what fails is tried again, and never lost."

FIELDS: dict[str, dict[str, str]] = {
    "JobIn": {
        "id": "any text of up to 512 bytes; one is made where it is left out",
        "trigger_time": "when to fire, in milliseconds since 1970, UTC",
        "trigger_ms": "another name of trigger_time",
        "meta": "any JSON: the body of the delivered request, as it is",
        "route": "where to; a route of the same db",
        "cron": "again and again: five fields, or six with seconds first; instead of trigger_time",
        "timezone": "of cron, such as Europe/Berlin; UTC unless given",
        "retries": "seconds between attempts, instead of the route's",
        "idempotency_key": "a second POST with the same key makes no second job",
    },
    "RouteIn": {
        "type": "REST",
        "webhook_url": "the address that is called",
        "secret": "true makes one that signs deliveries as Standard Webhooks; it is shown once",
        "headers": "sent along with each delivery",
        "timeout": "seconds that the receiver has for its answer; 15 unless given",
        "retries": "seconds between attempts; an empty list means a single one",
        "concurrency": "calls at once; 32 unless given",
        "rate": "calls per second at the most",
        "paused": "held until it is resumed",
        "method": "POST unless given",
    },
    "MoveIn": {
        "trigger_time": "to this moment, in milliseconds",
        "shift_ms": "each by so many milliseconds",
    },
    "ReplayIn": {
        "ids": "of jobs",
        "from": "died at or after this, in milliseconds",
        "to": "died before this, in milliseconds",
    },
    "JobDetail": {"next_attempt": "when it fires next, in milliseconds; null when it does not"},
}


def examples(now: int) -> dict[str, tuple[str, Any]]:
    """Operation → (url, body). They work in this order: a route, then jobs, and away with them at the end."""
    soon = now // 1_000 * 1_000 + HOUR
    route = {"id": "hook", "type": "REST", "webhook_url": "https://example.com/hook"}
    job = {"id": "cart-17", "trigger_time": soon, "meta": {"cart": 17}, "route": "hook"}
    return {
        "POST /route/{db}": ("/route/shop", route),
        "GET /route/{db}": ("/route/shop", None),
        "GET /route/{db}/{id}": ("/route/shop/hook?detail=1", None),
        "PUT /route/{db}/{id}": ("/route/shop/hook", {"timeout": 5, "concurrency": 8}),
        "POST /route/{db}/{id}/pause": ("/route/shop/hook/pause", None),
        "POST /route/{db}/{id}/resume": ("/route/shop/hook/resume", None),
        "POST /job/{db}/{collection}": ("/job/shop/carts", job),
        "GET /job/{db}/{collection}": ("/job/shop/carts?state=pending&limit=10", None),
        "GET /job/{db}/{collection}/{id}": ("/job/shop/carts/cart-17?detail=1", None),
        "PUT /job/{db}/{collection}/{id}": ("/job/shop/carts/cart-17", {"trigger_time": soon + HOUR}),
        "GET /job/{db}/{collection}/{id}/attempts": ("/job/shop/carts/cart-17/attempts", None),
        "PATCH /job/{db}/{collection}": ("/job/shop/carts?route=hook", {"shift_ms": 60_000}),
        "POST /collection/{db}/{collection}/pause": ("/collection/shop/carts/pause", None),
        "POST /collection/{db}/{collection}/resume": ("/collection/shop/carts/resume", None),
        "GET /dead/{db}": ("/dead/shop?limit=10", None),
        "POST /dead/{db}/replay": ("/dead/shop/replay", {"ids": ["cart-17"]}),
        "DELETE /job/{db}/{collection}/{id}": ("/job/shop/carts/cart-17", None),
        "DELETE /job/{db}/{collection}": ("/job/shop/carts?route=hook", None),
        "DELETE /route/{db}/{id}": ("/route/shop/hook", None),
    }


GUIDE = Guide(
    ABOUT,
    lambda now: {name: Example(*example) for name, example in examples(now).items()},
    FIELDS,
    list(CODES.values()),
)
