"""The wire format of locks: parse, one action, render. What the document does not have travels in headers."""

import hashlib
import time
from typing import Any, TypeVar

import msgspec

from undercroft.base.clock import SECOND
from undercroft.base.ids import new_secret
from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Database
from undercroft.families.locks import actions, model, shapes
from undercroft.families.locks.model import FAMILY, LockIn, RenewIn, Rules, shown_end, shown_return
from undercroft.machinery.identity.entering import Enter, enter_named
from undercroft.machinery.identity.gate import check_still_in
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.leases.actions import Desk, Seat
from undercroft.machinery.leases.model import Acquire, Answer, Place
from undercroft.machinery.leases.waiting import Leases
from undercroft.machinery.operations import Operation, Reply, Request, json_reply

T = TypeVar("T")
Headers = tuple[tuple[bytes, bytes], ...]

LONGEST_BODY = 64 * 1_024
MOST_PER_PAGE = 1_000

_lock = msgspec.json.Decoder(LockIn)
_renewal = msgspec.json.Decoder(RenewIn)
# The document's answers, byte for byte.
OBTAINED, NOT_OBTAINED = b'{"lock_obtained":true}', b'{"lock_obtained":false}'
REMOVED, NOT_REMOVED = b'{"lock_removed":true}', b'{"lock_removed":false}'
RENEWED, NOT_RENEWED = b'{"lock_renewed":true}', b'{"lock_renewed":false}'
_ERRORS = dict.fromkeys((400, 401, 403, 409, 413, 429, 503), shapes.Problem)


class Locks:
    def __init__(self, database: Database, leases: Leases, desk: Desk, enter: Enter, rules: Rules) -> None:
        self._database = database
        self._leases = leases
        self._desk = desk
        self._enter = enter
        self._rules = rules

    async def obtain(self, request: Request) -> Reply:
        asked = _decode(_lock, request)
        order = self._order(asked, request)
        place = await self._place(request, _where(request, asked), model.check_name(asked.name), writing=True)
        began = time.perf_counter() if order.wait else 0.0
        answer = await self._leases.acquire(order._replace(place=place), request.gone)
        if order.wait and answer.yes:
            await self._check_still_welcome(request, place, answer, time.perf_counter() - began)
        waited = time.perf_counter() - began if order.wait else 0.0
        if asked.details:
            details = _obtained_details(place.name, answer)
            return json_reply(details, headers=_headers(answer, token=True))._replace(waited=waited)
        body = OBTAINED if answer.yes else NOT_OBTAINED
        return Reply(200, body, headers=_headers(answer, token=True), waited=waited)

    async def remove(self, request: Request) -> Reply:
        query = request.query(shapes.RemoveQuery) if request.query_string else _PLAIN_REMOVE
        token = _one_token(query.token, request)
        place = await self._place(request, query.namespace, _named(request), writing=False)
        if query.force:
            removed = await self._take_away(request, place)
        else:
            removed = await self._leases.release(place, token)
        return Reply(200, REMOVED if removed else NOT_REMOVED)

    async def renew(self, request: Request) -> Reply:
        asked = _decode(_renewal, request)
        token = _one_token(asked.token, request)
        if token is None:
            raise invalid("token", "token is missing: send what X-Lock-Token said when the lock was obtained")
        if asked.ttl is None and asked.expires_at is None:
            raise invalid("ttl", "say for how long: ttl in seconds, or expires_at")
        span = model.span_of(asked, self._rules, request.now)
        place = await self._place(request, _where(request, asked), _named(request), writing=True)
        answer = await self._leases.renew(place, token, span)
        if asked.details:
            return json_reply(_renewed_details(place.name, answer), headers=_headers(answer, token=False))
        return Reply(200, RENEWED if answer.yes else NOT_RENEWED, headers=_headers(answer, token=False))

    async def show(self, request: Request) -> Reply:
        query = request.query(shapes.WhereQuery)
        place = await self._place(request, query.namespace, _named(request), writing=False)
        return json_reply(_shown(await self._leases.look(place)))

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.ListQuery)
        if not 1 <= query.limit <= MOST_PER_PAGE:
            raise invalid("query", f"limit is 1 to {MOST_PER_PAGE}")
        where = await self._place(request, query.namespace, "", writing=False)
        seats, following = await self._leases.held(FAMILY, where.namespace, query.prefix, query.cursor, query.limit)
        return json_reply(shapes.LockList([_shown(seat) for seat in seats], following))

    def _order(self, asked: LockIn, request: Request) -> Acquire:
        """All but its place, whose namespace has to be entered first."""
        model.check_name(asked.name)
        key = model.check_key(request.header(b"idempotency-key"))
        wait = model.seconds_in(asked.wait, "wait", model.LONGEST_WAIT)
        guarded = self._rules.require_token if asked.require_token is None else asked.require_token
        return Acquire(
            _NOWHERE,
            model.span_of(asked, self._rules, request.now),
            new_secret(),
            own=_one_token(asked.token, request),
            owner=model.check_owner(asked.owner),
            delay=model.seconds_in(asked.lock_delay, "lock_delay", model.LONGEST_DELAY),
            guarded=int(guarded),
            wait=wait,
            waiter=new_secret() if wait or key else "",
            key=key,
            content=_content(asked, request.identity) if key else "",
        )

    async def _check_still_welcome(self, request: Request, place: Place, answer: Answer, waited: float) -> None:
        """It may have lost its token or the namespace while it stood in line: then the next one gets the lock.

        Raises Refusal: UNAUTHORIZED, FORBIDDEN.
        """
        now = request.now + round(waited * SECOND)
        try:
            await self._database.read(check_still_in, request.identity, place.namespace, now)
        except Refusal:
            await self._leases.release(place, answer.token)
            raise

    async def _place(self, request: Request, namespace: str | None, name: str, *, writing: bool) -> Place:
        entered = await enter_named(self._enter, request.identity, FAMILY, namespace, request.now, writing=writing)
        return Place(FAMILY, entered, name)

    async def _take_away(self, request: Request, place: Place) -> bool:
        if not request.identity.is_admin():
            raise Refusal(Kind.FORBIDDEN, "forbidden", "only an admin takes a lock away from who holds it")
        actor = request.identity.email
        return await self._database.write_once(actions.take_away, self._desk, place, actor, request.now)


_NOWHERE = Place(FAMILY, "", "")
_PLAIN_REMOVE = shapes.RemoveQuery()


def operations(locks: Locks) -> list[Operation]:
    many, one = "/systems/locks", "/systems/locks/{name}"
    obtained = shapes.Obtained | shapes.ObtainedDetails | shapes.RefusedDetails
    return [
        _operation("POST", many, locks.obtain, "Obtain a lock, or learn that it is held", "write", obtained,
                   takes=LockIn),
        _operation("GET", many, locks.list_page, "List what is held", "read", shapes.LockList, query=shapes.ListQuery),
        _operation("GET", one, locks.show, "Show a lock", "read", shapes.LockOut, query=shapes.WhereQuery),
        _operation("PUT", one, locks.renew, "Renew a lock", "write", shapes.Renewed | shapes.RenewedDetails,
                   takes=RenewIn),
        _operation("DELETE", one, locks.remove, "Remove a lock", "write", shapes.Removed, query=shapes.RemoveQuery),
    ]  # fmt: skip


def _operation(method: str, path: str, run: Any, summary: str, verb: str, gives: Any, **more: Any) -> Operation:
    return Operation(
        method, path, run, summary, verb, most_body=LONGEST_BODY, also_anonymous=FAMILY,
        gives={200: gives, **_ERRORS}, **more,
    )  # fmt: skip


def _decode(decoder: msgspec.json.Decoder[T], request: Request) -> T:
    """Raises Refusal(INVALID, "body")."""
    if len(request.body) > LONGEST_BODY:
        raise Refusal(Kind.TOO_LARGE, "too_large", f"a lock takes {LONGEST_BODY} bytes at the most")
    try:
        return decoder.decode(request.body)
    except RecursionError:
        raise invalid("body", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise invalid("body", f"the body can't be read: {error}") from None


def _content(asked: LockIn, identity: Identity) -> str:
    """What a key must come with again: the same request of the same user."""
    return hashlib.sha256(msgspec.json.encode((asked, identity.email))).hexdigest()


def _named(request: Request) -> str:
    return model.check_name(request.path["name"])


def _where(request: Request, asked: LockIn | RenewIn) -> str | None:
    """The namespace that the body or the query names."""
    named = request.query(shapes.WhereQuery).namespace if request.query_string else None
    if named is not None and asked.namespace is not None and named != asked.namespace:
        raise invalid("namespace", "the query names another namespace than the body; name one")
    return named if asked.namespace is None else asked.namespace


def _one_token(given: str | None, request: Request) -> str | None:
    """From the query or body, or the header X-Lock-Token."""
    header = request.header(b"x-lock-token")
    if given is not None and header is not None and given != header:
        raise invalid("token", "X-Lock-Token is another token than the request's own; send one")
    return model.check_token(header if given is None else given)


# Rendering


def _headers(answer: Answer, *, token: bool) -> Headers:
    if answer.yes:
        found = [(b"x-lock-token", answer.token.encode())] if token else []
        found.append((b"x-fencing-token", b"%d" % answer.fence))
        ends = shown_end(answer.expires_at)
        if ends is not None:
            found.append((b"x-lock-expires-at", ends.encode()))
        return tuple(found)
    free_at = shown_return(answer.free_at)
    return () if free_at is None else ((b"x-lock-held-until", free_at.encode()),)


def _obtained_details(name: str, answer: Answer) -> shapes.Obtained:
    left = None if answer.left is None else answer.left / SECOND
    if answer.yes:
        ends = shown_end(answer.expires_at)
        return shapes.ObtainedDetails(True, name, answer.token, answer.fence, answer.owner, ends, left)
    return shapes.RefusedDetails(
        False, name, answer.owner, answer.fence or None, shown_return(answer.free_at), left
    )  # fmt: skip


def _renewed_details(name: str, answer: Answer) -> shapes.Renewed:
    if not answer.yes:
        return shapes.Renewed(False)
    left = None if answer.left is None else answer.left / SECOND
    return shapes.RenewedDetails(True, name, answer.fence, answer.owner, shown_end(answer.expires_at), left)


def _shown(seat: Seat) -> shapes.LockOut:
    lease, time = seat.lease, seat.time
    name = seat.place.name
    if lease is None or lease.is_free(time.now):
        return shapes.LockOut(name, False, None, None, None, None, None, seat.in_line, False, None)
    held = lease.is_held(time.now)
    left = None if lease.expires_at is None or not held else (lease.expires_at - time.now) / SECOND
    return shapes.LockOut(
        name, held, lease.owner, shown_end(time.shown(lease.granted_at)), shown_end(time.shown(lease.expires_at)),
        left, lease.fence, seat.in_line, bool(lease.guarded), shown_return(time.shown(lease.free_at())),
    )  # fmt: skip
