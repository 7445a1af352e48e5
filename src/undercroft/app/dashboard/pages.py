"""The pages: sign in, the overview, one delivery closely, and the two buttons. Parse, one action, render."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from undercroft.app.dashboard import actions, session
from undercroft.app.dashboard.figures import figures
from undercroft.app.dashboard.forms import read_form, read_id
from undercroft.app.dashboard.reading import read_closely, read_overview, sees_all
from undercroft.app.dashboard.rendering import Rendering
from undercroft.base.refusals import Kind, Refusal, invalid, not_found
from undercroft.database import Database
from undercroft.machinery.deliveries.model import Kind as DeliveryKind
from undercroft.machinery.deliveries.model import public_state
from undercroft.machinery.identity.actions import end_session, start_session
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.operations import Reply, Request


class ServedFamily(NamedTuple):
    """A family as the front page names it: what it is for, the first segments of its paths; and how it tries what is
    dead anew, where it has a way of its own."""

    name: str
    about: str
    paths: Sequence[str]
    replay: actions.Replay | None = None


class Part(msgspec.Struct):
    part: Literal["live"] | None = None


class Pages:
    def __init__(
        self, database: Database, gate: Gate, rendering: Rendering, families: Sequence[ServedFamily], node: str
    ) -> None:
        self._database = database
        self._gate = gate
        self._rendering = rendering
        self._families = families
        self._replays = {one.name: one.replay for one in families if one.replay is not None}
        self._node = node

    async def home(self, request: Request) -> Reply:
        """GET /, and the part of it that changes: /?part=live."""
        part = request.query(Part).part
        overview = await self._database.read(read_overview, request.identity)
        values = {
            "overview": overview,
            "figures": figures() if sees_all(request.identity) else None,
            "now": request.now,
            "tick": int(DeliveryKind.TICK),
        }
        if part:
            return await self._rendering.page("live.html", **values)
        house = {"families": self._families, "engine": self._database.engine, "node": self._node}
        return await self._rendering.page("home.html", identity=request.identity, **values, **house)

    async def delivery(self, request: Request) -> Reply:
        id = read_id(request.path["id"])
        closely = await self._database.read(read_closely, request.identity, id)
        if closely is None:
            raise not_found("delivery", "this delivery is no longer there")
        state = public_state(closely.seen.state, closely.seen.attempts)
        return await self._rendering.page(
            "delivery.html",
            identity=request.identity,
            closely=closely,
            state=state,
            tick=int(DeliveryKind.TICK),
            now=request.now,
        )

    async def replay(self, request: Request) -> Reply:
        id = read_id(read_form(request).get("id"))
        await self._database.write_once(actions.replay, request.identity, id, self._replays, request.now)
        return _home()

    async def resume(self, request: Request) -> Reply:
        form = read_form(request)
        match form:
            case {"target": id}:
                await self._database.write_once(actions.resume_target, request.identity, read_id(id))
            case {"queue": id}:
                await self._database.write_once(actions.resume_queue, request.identity, read_id(id))
            case _:
                raise invalid("form", "say which route or collection; begin again at /")
        return _home()

    # Coming and going

    async def sign_in(self, request: Request) -> Reply:
        """A session for whoever shows a token that is good."""
        session.check_own_site(request.headers)
        token = read_form(request).get("token", "").strip()
        try:
            identity = await self._gate.identify(token, request.now)
        except Refusal as refusal:
            if refusal.kind is not Kind.UNAUTHORIZED:
                raise
            raise Refusal(
                Kind.UNAUTHORIZED, "wrong_token", "This token is not known here, or it has expired."
            ) from None
        made, secret = await self._database.write_once(start_session, identity, request.now)
        seconds = ((made.expires_at or request.now) - request.now) // 1_000
        return _home(session.started(secret, seconds, request.headers))

    async def sign_out(self, request: Request) -> Reply:
        token = session.token_of(request.headers, request.method)
        if token:
            await self._database.write_once(end_session, token)
        return _home(session.ended(request.headers))

    async def go_home(self, _request: Request) -> Reply:
        """GET /signin: where a reload after a wrong token, or a bookmark, leads."""
        return _home()


def _home(*headers: tuple[bytes, bytes]) -> Reply:
    return Reply(303, b"", b"text/plain", ((b"location", b"/"), (b"cache-control", b"no-store"), *headers))


def refuse(rendering: Rendering, statuses: Mapping[Kind, int], refusal: Refusal) -> Reply:
    """A refusal as a page: whoever is not signed in may do so there."""
    if refusal.kind is Kind.UNAUTHORIZED:
        wrong = refusal.message if refusal.code == "wrong_token" else None
        return rendering.small_page("signin.html", 401, wrong=wrong)
    status = statuses[refusal.kind]
    return rendering.small_page("refused.html", status, status=status, message=refusal.message)
