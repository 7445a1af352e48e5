"""What there is of subscriptions beyond the document: previews, fast-forward, what was sent, opting out."""

import html
import uuid
from typing import Any

import msgspec

from undercroft.database import Database, Transaction
from undercroft.families.messaging import behind, forwarding, optout, subscriptions
from undercroft.families.messaging.calendar import Planned, calendar
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.errors import Wrong, missing
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.parsing import id_in_path
from undercroft.families.messaging.http.rendering import moment
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import Attempt, Delivery, public_state
from undercroft.machinery.operations import Reply, Request, json_reply

MOST_PLANNED = 1_000
MOST_SENDS = 100


class Beyond:
    def __init__(self, database: Database, doorway: Doorway, ways: Ways) -> None:
        self._database = database
        self._doorway = doorway
        self._ways = ways

    async def preview(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        limit = given.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_PLANNED):
            raise Wrong({"limit": [f"Write a number from 1 to {MOST_PLANNED}."]})
        planned = await self._database.read(_preview, place, _uuid_in(request), request.now, int(limit))
        results = [{"at": moment(one.at), "messageset": one.messageset, "sequence_number": one.sequence_number}
                   for one in planned]  # fmt: skip
        return json_reply({"results": results})

    async def fast_forward(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        ids = await forwarding.fast_forward(self._database, place, _uuid_in(request), request.now)
        return json_reply({"subscriptions": ids})

    async def sends(self, request: Request) -> Reply:
        """The last messages that it was sent, the newest first, as far as deliveries are kept."""
        place, _ = await self._doorway.into(request)
        found = await self._database.read(_sends, place, _uuid_in(request))
        return json_reply({"results": [_send(one, last) for one, last in found]})

    async def opt_out_link(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = _uuid_in(request)
        await self._database.read(subscriptions.require, place, id)
        key = await self._database.read(optout.known_secret)
        if key is None:
            key = await self._database.write(optout.secret)
        return json_reply({"url": optout.url(self._ways.base_url, key, id)})

    async def ask(self, request: Request) -> Reply:
        """A page with one button. Looking at it changes nothing: mail scanners follow links, too."""
        await self._subscription_of(request)
        return _page(
            "Stop these messages?",
            '<form method="post"><button type="submit">Stop them</button></form>',
        )

    async def opt_out(self, request: Request) -> Reply:
        """Also what mail programs post for their own button (RFC 8058)."""
        id = await self._subscription_of(request)
        await self._database.write_once(subscriptions.opt_out, id, request.now)
        return _page("You will get no more of these messages.", "")

    async def _subscription_of(self, request: Request) -> str:
        key = await self._database.read(optout.known_secret)
        if key is None:
            raise missing()
        return optout.subscription_in(key, request.path["token"])


def _uuid_in(request: Request) -> str:
    try:
        return str(uuid.UUID(id_in_path(request)))
    except ValueError:
        raise missing() from None


def _preview(tx: Transaction, place: str, id: str, now: int, limit: int) -> list[Planned]:
    one = subscriptions.require(tx, place, id)
    return calendar(one, behind.course_of(tx, place), now, limit)


def _sends(tx: Transaction, place: str, id: str) -> list[tuple[Delivery, Attempt | None]]:
    one = subscriptions.require(tx, place, id)
    queue = targets.find_queue(tx, FAMILY, place, QUEUE)
    if queue is None:
        return []
    turns = range(max(1, one.turns - MOST_SENDS + 1), one.turns + 1)
    found = store.find_named(tx, queue.id, {f"{id}#{turn}" for turn in turns})
    found.sort(key=lambda delivery: -delivery.id)
    return [(delivery, store.last_attempt(tx, delivery.id)) for delivery in found]


def _send(one: Delivery, last: Attempt | None) -> dict[str, Any]:
    options = msgspec.json.decode(one.options or "{}")
    return {
        "sequence_number": options.get("sequence"),
        "resend": not options.get("turn"),
        "state": public_state(one.state, one.attempts),
        "due_at": moment(one.planned_at),
        "attempts": one.attempts,
        "reason": one.reason,
        "reply": last.reply if last else None,
        "message": msgspec.Raw(one.body.encode()),
    }


def _page(title: str, content: str) -> Reply:
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><body style='font:18px sans-serif;margin:3em auto;max-width:30em'>"
        f"<h1>{html.escape(title)}</h1>{content}"
    )
    headers = (
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"SAMEORIGIN"),
    )
    return Reply(200, page.encode(), b"text/html; charset=utf-8", headers)
