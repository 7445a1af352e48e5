"""The ASGI application: route, identify, read the body within limits, run one operation, send its reply.

The order is fixed: path, identity, body. Nothing of a body is read for a caller who may not call.
A thin layer of our own instead of a framework: see docs/architecture.md for the measurements.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from prometheus_client import REGISTRY, Histogram

from undercroft.app.router import MethodNotAllowed, Router, Served
from undercroft.base.clock import Clock
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Access, Operation, Reply, Request

log = structlog.get_logger()

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Refuse = Callable[[Refusal], Reply]

_DURATION = Histogram(
    "undercroft_request_seconds",
    "Requests, by operation and class of status",
    ["operation", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
    registry=REGISTRY,
)
ANONYMOUS = Identity("anonymous", (), "anonymous", ())
# Requests slower than this (s) are logged even when they go well.
SLOW = 1.0
_NOBODY = Identity("", (), "", ())
_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}


class Server:
    def __init__(
        self,
        served: list[Served],
        refusers: Mapping[str, Refuse],
        prefixes: Mapping[str, str],
        gate: Gate,
        clock: Clock,
        max_body: int,
        anonymous: tuple[str, ...],
    ) -> None:
        """`refusers`: family → its wording, "" for the house's; `prefixes`: first path segment → family."""
        self._router = Router(served)
        self._refusers = refusers
        self._prefixes = {prefix.encode(): family for prefix, family in prefixes.items()}
        self._gate = gate
        self._clock = clock
        self._max_body = max_body
        self._anonymous = frozenset(anonymous)
        self._run = secrets.token_hex(5)
        self._count = itertools.count(1)
        self._durations: dict[tuple[str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        request_id = self._request_id(headers)
        raw_path = scope.get("raw_path") or scope["path"].encode()
        name = "unknown"
        family = self._prefixes.get(raw_path[1:].partition(b"/")[0], "")
        try:
            served, path = self._router.find(scope["method"], raw_path)
            operation, family = served
            name = f"{operation.method} {operation.path}"
            now = self._clock()
            identity = await self._admit(operation, family, path, scope, headers, now)
            body = await self._read_body(receive, headers)
            request = Request(scope["method"], path, scope["query_string"], headers, body, identity, now)
            reply = await operation.run(request)
        except Refusal as refusal:
            reply = self._render(refusal, family)
        except asyncio.CancelledError:
            raise
        except ClientGone:
            return
        except Exception:
            log.exception("request_failed", operation=name, request_id=request_id.decode())
            fault = f"the server has a fault; its log has the details under {request_id.decode()}"
            reply = self._render(Refusal(Kind.UNAVAILABLE, "internal", fault), family)
        await self._send(send, reply, request_id)
        self._note(name, reply.status, time.perf_counter() - start, request_id)

    # Who

    async def _admit(
        self,
        operation: Operation,
        family: str,
        path: dict[str, str],
        scope: Scope,
        headers: list[tuple[bytes, bytes]],
        now: int,
    ) -> Identity:
        """The caller's identity, if it may call this.

        Raises Refusal(UNAUTHORIZED) or Refusal(FORBIDDEN).
        """
        if operation.access is Access.PUBLIC:
            return _NOBODY
        authorization = _header(headers, b"authorization")
        if authorization is None and self._is_open(operation, scope, headers):
            return ANONYMOUS
        if authorization is None:
            raise Refusal(Kind.UNAUTHORIZED, "unauthorized", "You must provide the Authorization header")
        text = authorization.decode("latin-1")
        identity = self._gate.remembered(text, now) or await self._gate.identify(text, now)
        namespace = path.get(operation.namespace) if operation.namespace else None
        if operation.access is Access.SCOPED and not identity.covers(family, namespace):
            wanted = f"{family}:{namespace}" if namespace else family
            raise Refusal(Kind.FORBIDDEN, "forbidden", f"this token is not for {wanted}")
        if operation.access is Access.ADMIN and not identity.is_admin():
            raise Refusal(Kind.FORBIDDEN, "forbidden", "You must be an admin")
        return identity

    def _is_open(self, operation: Operation, scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
        """Opened to loopback by settings. Not through a proxy, whose clients we can't see, and not for another
        site's page in a browser on this machine."""
        if operation.also_anonymous not in self._anonymous:
            return False
        client = scope.get("client")
        if client is None or not (client[0].startswith("127.") or client[0] == "::1"):
            return False
        names = dict(headers)
        foreign = names.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
        return not foreign and b"origin" not in names and not _FORWARDED & names.keys()

    # Body

    async def _read_body(self, receive: Receive, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The whole body.

        Raises Refusal(TOO_LARGE) as soon as it is known to be, ClientGone when the caller left: or was hung up on by
        `listening.py`, because its request trickled in too slowly.
        """
        length = _header(headers, b"content-length")
        if length is not None and length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body"):
                return chunk if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> Refusal:
        most = self._max_body
        return Refusal(Kind.TOO_LARGE, "too_large", f"the body is larger than {most} bytes; send it in parts")

    # Reply

    def _render(self, refusal: Refusal, family: str) -> Reply:
        reply = self._refusers[family](refusal)
        extra: list[tuple[bytes, bytes]] = []
        if refusal.retry_after is not None:
            extra.append((b"retry-after", str(refusal.retry_after).encode()))
        if refusal.kind is Kind.UNAUTHORIZED:
            extra.append((b"www-authenticate", b"Bearer"))
        if isinstance(refusal, MethodNotAllowed):
            extra.append((b"allow", ", ".join(refusal.allowed).encode()))
            if not family:
                reply = reply._replace(status=405)
        return reply._replace(headers=reply.headers + tuple(extra))

    async def _send(self, send: Send, reply: Reply, request_id: bytes) -> None:
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-request-id", request_id),
            (b"x-content-type-options", b"nosniff"),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _request_id(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The caller's own, where it is harmless to repeat; else a new one."""
        given = _header(headers, b"x-request-id")
        if given and len(given) <= 128 and given.isascii() and given.replace(b"-", b"").isalnum():
            return given
        return f"{self._run}-{next(self._count):x}".encode()

    def _note(self, name: str, status: int, seconds: float, request_id: bytes) -> None:
        key = (name, status // 100)
        duration = self._durations.get(key)
        if duration is None:
            duration = self._durations[key] = _DURATION.labels(name, f"{status // 100}xx")
        duration.observe(seconds)
        if status >= 500 or seconds > SLOW:
            log.warning(
                "request",
                operation=name,
                status=status,
                seconds=round(seconds, 3),
                request_id=request_id.decode(),
            )
        elif _debugging():
            log.debug("request", operation=name, status=status, seconds=round(seconds, 4))


class ClientGone(Exception):
    """The caller hung up before it had sent its request."""


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _debugging() -> bool:
    return logging.getLogger().isEnabledFor(logging.DEBUG)
