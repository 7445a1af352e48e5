"""Operations on subscriptions. They are made many a second, so those that come together share one write."""

import uuid
from collections.abc import Mapping
from typing import Any

from undercroft.database import Database, Transaction
from undercroft.families.messaging import subscriptions
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.errors import WHOLE, Wrong, missing
from undercroft.families.messaging.http import fields, filters
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.paging import base_url, envelope, shown, window
from undercroft.families.messaging.http.parsing import id_in_path, read_body
from undercroft.families.messaging.http.rendering import ROOT, subscription
from undercroft.families.messaging.http.resource import page
from undercroft.families.messaging.model import json_key
from undercroft.families.messaging.store import SUBSCRIPTIONS
from undercroft.families.messaging.subscriptions import Labelled, Order
from undercroft.families.messaging.tables import Condition, Window
from undercroft.machinery.operations import Reply, Request, json_reply

PATH = f"{ROOT}/subscriptions"
_ACCEPTED = {"accepted": True}


class Subscriptions:
    def __init__(self, database: Database, doorway: Doorway, ways: Ways) -> None:
        self._database = database
        self._doorway = doorway
        self._ways = ways

    async def list_page(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where, conditions = window(given), filters.read_filters(filters.SUBSCRIPTION, given)
        referred = [(name, int(given[name])) for name in ("messageset", "schedule") if given.get(name)]
        conditions += _more(given)
        async with self._doorway.searching(conditions):
            walked = await self._database.read(_page, place, where, conditions, referred)
        these, base = shown(where, walked), base_url(request)
        results = [subscription(one, base) for one in these]
        keys = [one.subscription.number for one in these]
        return json_reply(envelope(request, PATH, where, walked, keys, results))

    async def create(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        body = read_body(request)
        given = fields.read_fields(fields.SUBSCRIPTION, body.object, partial=False, is_form=body.is_form)
        made = await self._database.batch(subscriptions.create_many, Order(place, given, request.now))
        shown = subscription(made, base_url(request))
        return json_reply(shown, 201, ((b"location", shown["url"].encode()),))

    async def request(self, request: Request) -> Reply:
        """As other services ask for one: the subscription as `data`."""
        place, _ = await self._doorway.into(request)
        body = read_body(request).object
        if "data" not in body:
            raise Wrong({"data": ["This field is required."]})
        data = body["data"]
        if not isinstance(data, dict):
            kind = type(data).__name__
            raise Wrong({WHOLE: [f"Invalid data. Expected a dictionary, but got {kind}."]})
        given = fields.read_fields(fields.SUBSCRIPTION, _completed(data), partial=False)
        await self._database.batch(subscriptions.create_many, Order(place, given, request.now))
        return json_reply(_ACCEPTED, 201)

    async def fetch(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        found = await self._database.read(subscriptions.find, place, _uuid_in(request))
        return json_reply(subscription(found, base_url(request)))

    async def replace(self, request: Request) -> Reply:
        return await self._change(request, partial=False)

    async def change(self, request: Request) -> Reply:
        return await self._change(request, partial=True)

    async def _change(self, request: Request, *, partial: bool) -> Reply:
        place, _ = await self._doorway.into(request)
        id, body = _uuid_in(request), read_body(request)
        given = fields.read_fields(fields.SUBSCRIPTION, body.object, partial=partial, is_form=body.is_form)
        changed = await self._database.write_once(subscriptions.change, place, id, given, request.now)
        return json_reply(subscription(changed, base_url(request)))

    async def delete(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write_once(subscriptions.delete, place, _uuid_in(request), request.now)
        return Reply(204, b"")

    async def send(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = id_in_path(request)
        await self._database.write_once(subscriptions.send_next, place, id, self._ways, request.now)
        return json_reply(_ACCEPTED, 201)

    async def resend(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = id_in_path(request)
        await self._database.write_once(subscriptions.resend, place, id, self._ways, request.now)
        return json_reply(_ACCEPTED, 202)


def _uuid_in(request: Request) -> str:
    """Raises Refusal(NOT_FOUND) for what is none."""
    try:
        return str(uuid.UUID(id_in_path(request)))
    except ValueError:
        raise missing() from None


def _completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Who asks for a subscription may leave more out: metadata, and where it begins. (contract §5)"""
    begins = data.get("initial_sequence_number", data.get("next_sequence_number"))
    return {"metadata": {}, **data, "initial_sequence_number": begins}


def _page(
    tx: Transaction, place: str, where: Window, conditions: list[Condition], referred: list[tuple[str, int]]
) -> list[Labelled]:
    return subscriptions.labelled(tx, page(tx, SUBSCRIPTIONS, place, where, conditions, referred))


# A part of a text, without a LIKE: the engines don't agree on whether case counts there.
_IN_NAME = (
    "messageset IN (SELECT id FROM messaging_sets WHERE namespace = :namespace"
    " AND REPLACE(short_name, :{}, '') <> short_name)"
)
_HAS_KEY = "REPLACE(metadata_keys, :{}, '') <> metadata_keys"


def _more(given: Mapping[str, str]) -> list[Condition]:
    """Filters that are no column's value."""
    conditions: list[Condition] = []
    if name := given.get("messageset_contains"):
        conditions.append((_IN_NAME, name))
    for word, sql in (("metadata_has_key", _HAS_KEY), ("metadata_not_has_key", f"NOT ({_HAS_KEY})")):
        if key := given.get(word):
            conditions.append((sql, f"\n{json_key(key)}\n"))
    if given.get("metadata"):
        conditions.append(("metadata = :{}", given["metadata"]))
    return conditions
