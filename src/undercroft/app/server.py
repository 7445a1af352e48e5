"""The application: route, identify, run one operation, give its reply. What fails is worded by the family it is for.

A thin layer of our own instead of a framework: see docs/architecture.md for the measurements.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog

from undercroft.app.application import Head
from undercroft.app.cross_origin import CrossOrigin
from undercroft.app.dashboard import session
from undercroft.app.loopback import is_from_here
from undercroft.app.permissions import HOUSE
from undercroft.app.refusing import Refuse, Refusers
from undercroft.app.router import MethodNotAllowed, Router, Served
from undercroft.base.clock import Clock
from undercroft.base.refusals import Kind, Refusal, invalid, unavailable
from undercroft.machinery.callers import Callers
from undercroft.machinery.family import Family
from undercroft.machinery.figures import Histogram
from undercroft.machinery.identity.basic import Basic, is_basic
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.model import ANONYMOUS, Identity, NotIdentified, Unidentified
from undercroft.machinery.operations import Access, Reply, Request

log = structlog.get_logger()

_DURATION = Histogram(
    "undercroft_request_seconds",
    "Requests, by operation and class of status",
    ("operation", "status"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
)

# Requests slower than this (s) are logged even when they go well.
SLOW = 1.0
_CLASSES = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
# No operation takes longer than this (s), the longest wait for a lock included.
LONGEST_RUN = 90.0
_GIVEN_UP = float("-inf")
_TOOK_TOO_LONG = (
    f"this took longer than {LONGEST_RUN:g} s and was given up; it may be done all the same: look before you try again"
)
_NOBODY = Identity("", (), "", ())
_TAKING_NOTHING = ("GET", "DELETE")
_SCOPED = (Access.SCOPED, Access.SCOPED_PAGE)
_WITH_SESSION = (Access.PAGE, Access.SCOPED_PAGE)


class Doors(NamedTuple):
    """Who comes in by a token, who by a password, and from where."""

    gate: Gate
    basic: Basic
    callers: Callers


class Server:
    def __init__(
        self,
        served: list[Served],
        refuse: Refuse,
        families: Sequence[Family],
        doors: Doors,
        clock: Clock,
        max_body: int,
        anonymous: tuple[str, ...],
    ) -> None:
        """`refuse`: the house's wording; `families`: with their own, their prefixes and headers."""
        self.max_body = max_body
        self.served = served
        self._router = Router(served, frozenset(family.name for family in families if family.resourceful))
        self._refusers = Refusers(refuse, families)
        self._headers = {family.name: family.headers for family in families if family.headers}
        self._cross_origin = CrossOrigin({family.name: family.origins for family in families})
        self._with_basic = frozenset(family.name for family in families if family.basic)
        self._gate, self._basic, self._callers = doors
        self._clock = clock
        self._anonymous = frozenset(anonymous)
        self._run = secrets.token_hex(5).encode()
        self._count = itertools.count(1)
        self._under_way: dict[asyncio.Task[Any] | None, float] = {}
        """When each request began, by its task. A timer each would cost as much as routing."""
        self._debugging = logging.getLogger().isEnabledFor(logging.DEBUG)

    async def answer(self, head: Head, body: bytes) -> Reply:
        """The reply to a request, whatever becomes of it. A fault of ours is a 500 without details."""
        if head.method == "OPTIONS":
            family = self._refusers.family_of(head.url.partition(b"?")[0])
            if family in self._cross_origin.families:
                return Reply(204, b"", headers=self._cross_origin.headers(family, head.headers))
        task = asyncio.current_task()
        self._under_way[task] = time.perf_counter()
        try:
            return await self._answer(head, body)
        except asyncio.CancelledError:
            if task is None or self._under_way[task] != _GIVEN_UP:
                raise
            task.uncancel()
            return self._given_up(head)
        finally:
            del self._under_way[task]
            if self._gate.has_claims():
                await self._settle(refused=False)

    async def _answer(self, head: Head, body: bytes) -> Reply:
        start = time.perf_counter()
        raw_path, _, query_string = head.url.partition(b"?")
        name: str = "unknown"
        family: str | None = None
        refused, allow, request_id = False, b"", self._request_id(head.headers)
        try:
            served, path = self._router.find(_routed(head.method), raw_path)
            operation, family, _, name, allow = served
            now = self._clock()
            identity = await self._identify(served, path, head, now, claiming=operation.method not in _TAKING_NOTHING)
            _check_coding(head)
            request = Request(
                head.method, path, query_string, head.headers, body, identity, now, head.gone, head.client
            )
            reply = await operation.run(request)
        except Refusal as refusal:
            family = self._refusers.family_of(raw_path) if family is None else family
            reply = self._refusers.refuse(await self._to_be_told(refusal, head), family)
            refused = reply.status < 500
        except Exception:
            family = self._refusers.family_of(raw_path) if family is None else family
            log.exception("request_failed", operation=name, request_id=request_id.decode())
            fault = f"the server has a fault; its log has the details under {request_id.decode()}"
            reply = self._refusers.refuse(Refusal(Kind.INTERNAL, "internal", fault), family)
        if refused and self._gate.has_claims():
            await self._settle(refused=True)
        self._note(name, reply.status, time.perf_counter() - start - reply.waited, request_id)
        shared = self._cross_origin.headers(family, head.headers)
        headers = ((b"x-request-id", request_id), *self._headers.get(family, ()), *reply.headers, *shared)
        if allow:
            headers = (*headers, (b"allow", allow))
        return Reply(reply.status, reply.body, reply.content_type, headers, reply.stream, length=reply.length)

    async def give_up_endless(self, _now: int) -> bool:
        """A step: requests whose operation has run for longer than LONGEST_RUN are answered with a 503."""
        before = time.perf_counter() - LONGEST_RUN
        for task in [task for task, start in self._under_way.items() if _GIVEN_UP < start < before]:
            if task is not None:
                self._under_way[task] = _GIVEN_UP
                task.cancel()
        return False

    async def admit(self, head: Head) -> Reply | None:
        """The refusal for a caller who may not call this, asked before a large body is read."""
        raw_path = head.url.partition(b"?")[0]
        family = self._refusers.family_of(raw_path)
        try:
            served, path = self._router.find(_routed(head.method), raw_path)
            family = served.family
            await self._identify(served, path, head, self._clock(), claiming=False)
            _check_coding(head)
            if served.access in (Access.PUBLIC, Access.PAGE):
                raise Refusal(Kind.TOO_LARGE, "too_large", "pages take small forms only")
        except Refusal as refusal:
            reply = self._refusers.refuse(refusal, family)
            return reply._replace(headers=self._headers.get(family, ()) + reply.headers)
        return None

    def most_body(self, head: Head) -> int:
        """The bytes that this operation takes: whoever sends more is refused before they are read."""
        try:
            served, _ = self._router.find(_routed(head.method), head.url.partition(b"?")[0])
        except Refusal:
            return self.max_body
        most = served.operation.most_body
        return self.max_body if most is None else min(most, self.max_body)

    def refuse_unread(self, status: int, message: str, url: bytes) -> Reply:
        family = self._refusers.family_of(url.partition(b"?")[0]) if url.startswith(b"/") else ""
        reply = self._refusers.refuse_unread(status, message, family)
        return reply._replace(headers=self._headers.get(family, ()) + reply.headers)

    # Who

    async def _identify(
        self, served: Served, path: dict[str, str], head: Head, now: int, *, claiming: bool
    ) -> Identity:
        """The caller's identity, if it may call this. `claiming`: a namespace that is nobody's becomes its teams'.

        Raises Refusal(UNAUTHORIZED) or Refusal(FORBIDDEN).
        """
        operation, family, access, *_ = served
        if access is Access.PUBLIC:
            return _NOBODY
        authorization = head.headers.get(b"authorization")
        text = None if authorization is None else authorization.decode("latin-1")
        if text is None and access in _WITH_SESSION:
            text = session.token_of(head.headers, head.method)
        if text is not None:
            identity = self._remembered(text, family, now) or await self._identity_of(text, family, head, now)
        elif operation.also_anonymous in self._anonymous and is_from_here(head):
            identity = ANONYMOUS
        else:
            raise NotIdentified(Unidentified.MISSING, "You must provide the Authorization header")
        if access in _SCOPED:
            namespace = path.get(operation.namespace) if operation.namespace else None
            if namespace is None:
                self._gate.check_scope(identity, family or HOUSE, None)
            else:
                self._gate.check_scope(identity, family, namespace)
                if not self._gate.has_entered(identity, namespace, now):
                    await self._gate.enter(identity, family, namespace, now, writing=claiming)
        elif access is Access.SCOPED_WITHIN:
            self._gate.check_family(identity, family)
        # A scoped token has shown its scope above; of people, admins alone see what is the whole house's.
        of_house = access is Access.ADMIN or (access is Access.SCOPED_PAGE and identity.scopes is None)
        if of_house and not identity.is_admin():
            raise Refusal(Kind.FORBIDDEN, "forbidden", "You must be an admin")
        return identity

    async def _settle(self, *, refused: bool) -> None:
        """A refused request leaves no namespace to its caller. What failed or was answered may have left something."""
        try:
            await self._gate.settle(refused=refused)
        except Refusal as refusal:
            log.warning("claim_not_taken_back", reason=refusal.message)

    async def _identity_of(self, authorization: str, family: str, head: Head, now: int) -> Identity:
        if family in self._with_basic and is_basic(authorization):
            return await self._basic.identify(authorization, self._callers.address(head.client, head.headers), now)
        return await self._gate.identify(authorization, now)

    def _remembered(self, authorization: str, family: str, now: int) -> Identity | None:
        """Most calls: without a coroutine, one of which costs as much as looking the token up in memory."""
        return None if family in self._with_basic else self._gate.remembered(authorization, now)

    async def _to_be_told(self, refusal: Refusal, head: Head) -> Refusal:
        """In a resourceful family nobody is told which methods there are who may not call them."""
        if not isinstance(refusal, MethodNotAllowed) or not refusal.served.allow:
            return refusal
        try:
            await self._identify(refusal.served, {}, head, self._clock(), claiming=False)
        except Refusal as stranger:
            return stranger
        return refusal

    # Replies

    def _given_up(self, head: Head) -> Reply:
        raw_path = head.url.partition(b"?")[0]
        family, request_id = self._refusers.family_of(raw_path), self._request_id(head.headers)
        operation = self._router.find(_routed(head.method), raw_path)[0].operation
        name = f"{operation.method} {operation.path}"
        log.error("request_given_up", operation=name, request_id=request_id.decode())
        self._note(name, 503, LONGEST_RUN, request_id)
        reply = self._refusers.refuse(unavailable(_TOOK_TOO_LONG), family)
        return reply._replace(headers=((b"x-request-id", request_id), *self._headers.get(family, ()), *reply.headers))

    def _request_id(self, headers: dict[bytes, bytes]) -> bytes:
        """The caller's own, where it is harmless to repeat; else a new one."""
        given = headers.get(b"x-request-id")
        if given and len(given) <= 128 and given.isascii() and given.replace(b"-", b"").isalnum():
            return given
        return b"%b-%x" % (self._run, next(self._count))

    def _note(self, name: str, status: int, seconds: float, request_id: bytes) -> None:
        _DURATION.note((name, _CLASSES[status // 100]), seconds)
        if status >= 500 or seconds > SLOW:
            log.warning(
                "request", operation=name, status=status, seconds=round(seconds, 3), request_id=request_id.decode()
            )
        elif self._debugging:
            log.debug("request", operation=name, status=status, seconds=round(seconds, 4))


def _check_coding(head: Head) -> None:
    """Bodies come as they are: who decompresses for strangers decompresses bombs."""
    coding = head.headers.get(b"content-encoding")
    if coding is not None and coding.lower() != b"identity":
        raise invalid("body", "Content-Encoding is not taken: send the body as it is")


def _routed(method: str) -> str:
    """HEAD is GET, of which the connection sends the head alone."""
    return "GET" if method == "HEAD" else method
