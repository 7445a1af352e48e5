"""Identities and routes: whom messages go to, and where they are posted."""

from typing import Any

from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.families.messaging import directory, routes
from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.http import fields, rendering
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Bad, Field, read_fields
from undercroft.families.messaging.http.paging import envelope, shown, window
from undercroft.families.messaging.http.parsing import read_body
from undercroft.families.messaging.model import Address, Person, kind_of_address
from undercroft.families.messaging.routes import Route
from undercroft.families.messaging.store import PERSONS
from undercroft.families.messaging.tables import Window
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.model import Target
from undercroft.machinery.deliveries.signatures import signing_key
from undercroft.machinery.deliveries.webhook import request as webhook
from undercroft.machinery.operations import Reply, Request, json_reply

IDENTITIES = f"{rendering.ROOT}/identities"
_MOST_ADDRESSES = 50


def addresses(value: Any) -> list[dict[str, Any]]:
    """A list of addresses as texts, or as {address, default, timezone}; the kind is seen from the address."""
    if not isinstance(value, list) or len(value) > _MOST_ADDRESSES:
        raise Bad(f"Expected a list of up to {_MOST_ADDRESSES} addresses.")
    return [_address(one if isinstance(one, dict) else {"address": one}) for one in value]


def _address(given: dict[str, Any]) -> dict[str, Any]:
    words = fields.text(254)(given.get("address", ""))
    kind = kind_of_address(words)
    if kind is None:
        raise Bad(f'"{words}" is neither an e-mail address nor a phone number such as +27821234567.')
    zone = given.get("timezone")
    return {
        "kind": kind,
        "address": words,
        "default": fields.boolean(given.get("default", False)),
        "timezone": None if zone is None else fields.timezone(zone),
    }


_IDENTITY = (
    Field("lang", fields.text(6), null=True),
    Field("timezone", fields.timezone, null=True),
    Field("metadata", fields.anything),
    Field("addresses", addresses),
)
_WITH_ID = (Field("id", fields.text(36), required=True), *_IDENTITY)


def _url(value: Any) -> str:
    try:
        return webhook.check_url(fields.text(2_048)(value), "https")
    except Refusal as refusal:
        raise Bad(refusal.message) from None


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Bad("Expected an object of texts.")
    try:
        webhook.check_headers(value)
    except Refusal as refusal:
        raise Bad(refusal.message) from None
    return value


def _secret(value: Any) -> str:
    words: str = fields.text(200)(value)
    try:
        signing_key(words)
    except (Refusal, ValueError):
        raise Bad("Expected a key that begins with whsec_.") from None
    return words


def _concurrency(value: Any) -> int:
    number = fields.integer(value)
    if not 1 <= number <= 500:
        raise Bad("Ensure this value is from 1 to 500.")
    return number


_ROUTE = (
    Field("name", fields.text(56), required=True),
    Field("url", _url, required=True),
    Field("headers", _headers),
    Field("secret", _secret, null=True),
    Field("concurrency", _concurrency),
)


class Directory:
    """Ids and names are anybody's words, and so exact: one that ends in `.json` is another than the one without."""

    def __init__(self, database: Database, doorway: Doorway) -> None:
        self._database = database
        self._doorway = doorway

    async def list_identities(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        where = window(given)
        walked, theirs = await self._database.read(_persons, place, where)
        rows = shown(where, walked)
        results = [rendering.person(row, theirs.get(row.number, [])) for row in rows]
        return json_reply(envelope(request, IDENTITIES, where, walked, [row.number for row in rows], results))

    async def put_identity(self, request: Request) -> Reply:
        """POST names it in the body, PUT in the path; either makes it or changes what is named."""
        place, _ = await self._doorway.into(request)
        in_path = request.path.get("id")
        rules = _WITH_ID if in_path is None else _IDENTITY
        values = _checked(read_fields(rules, read_body(request).object, partial=False))
        id = _id(in_path) if in_path is not None else values.pop("id")
        listed = values.pop("addresses", None)
        made = await self._database.write_once(directory.put, place, id, values, listed, request.now)
        theirs = await self._database.read(directory.addresses_of, [made])
        return json_reply(rendering.person(made, theirs.get(made.number, [])), 201 if in_path is None else 200)

    async def identity(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row, theirs = await self._database.read(_person, place, request.path["id"])
        return json_reply(rendering.person(row, theirs))

    async def addresses(self, request: Request) -> Reply:
        """As an identity service answers: what another messaging service asks for before it sends. (contract §7.3)"""
        place, _ = await self._doorway.into(request)
        _, theirs = await self._database.read(_person, place, request.path["id"])
        found = [{"address": one.address} for one in theirs if one.kind == request.path["kind"]]
        return json_reply({"next": None, "previous": None, "results": found})

    async def remove_identity(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write_once(directory.remove, place, request.path["id"])
        return Reply(204, b"")

    async def list_routes(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        found = await self._database.read(targets.list_targets, "messaging", place, given.get("after", ""), 1_000)
        return json_reply({"next": None, "previous": None, "results": [_route(one) for one in found]})

    async def put_route(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        values = _checked(read_fields(_ROUTE, read_body(request).object, partial=False))
        route = Route(**{"headers": {}, "secret": None, "concurrency": 32, **values})
        made = await self._database.write_once(routes.put, place, route, request.now)
        return json_reply(_route(made), 201)

    async def route(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        return json_reply(_route(await self._database.read(routes.require, place, request.path["name"])))

    async def remove_route(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write_once(routes.remove, place, request.path["name"], request.now)
        return Reply(204, b"")


def _checked(given: Any) -> dict[str, Any]:
    if given.errors:
        raise Wrong(given.errors)
    values: dict[str, Any] = given.values
    return values


def _id(text: str) -> str:
    try:
        words: str = fields.text(36)(text)
    except Bad as bad:
        raise Wrong({"id": [str(bad)]}) from None
    return words


def _route(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "url": target.settings.shown.get("url"),
        "concurrency": target.concurrency,
        "paused": target.pause_reason if target.paused_at is not None else None,
    }


def _persons(tx: Transaction, place: str, where: Window) -> tuple[list[Person], dict[int, list[Address]]]:
    walked = PERSONS.page(tx, place, where, [])
    return walked, directory.addresses_of(tx, walked)


def _person(tx: Transaction, place: str, id: str) -> tuple[Person, list[Address]]:
    person = directory.require(tx, place, id)
    return person, directory.addresses_of(tx, [person]).get(person.number, [])
