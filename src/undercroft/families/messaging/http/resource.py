"""What schedules, sets and messages have in common: they are listed, made, shown, changed and taken out alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from undercroft.database import Database, Transaction
from undercroft.families.messaging.errors import Wrong, missing
from undercroft.families.messaging.given import Given
from undercroft.families.messaging.http import filters
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Field, read_fields
from undercroft.families.messaging.http.filters import Read
from undercroft.families.messaging.http.paging import envelope, shown, window
from undercroft.families.messaging.http.parsing import number_in_path, read_body
from undercroft.families.messaging.store import SCHEDULES, SETS
from undercroft.families.messaging.tables import Table
from undercroft.machinery.operations import Reply, Request, json_reply

_REFERRED: dict[str, Table[Any]] = {"messageset": SETS, "schedule": SCHEDULES}


class Noun(NamedTuple):
    """One resource: its rows, its rules, what can be done, how it is shown."""

    path: str
    table: Table[Any]
    fields: tuple[Field, ...]
    create: Callable[[Transaction, str, Given, int], Any]
    change: Callable[[Transaction, str, int, Given, int], Any]
    delete: Callable[[Transaction, str, int, int], None]
    render: Callable[[Any], dict[str, Any]]
    filters: Mapping[str, tuple[str, Read]] = {}


class Resource:
    def __init__(self, database: Database, doorway: Doorway, noun: Noun) -> None:
        self._database = database
        self._doorway = doorway
        self._noun = noun

    async def list_page(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        noun, where = self._noun, window(given)
        conditions = filters.read_filters(noun.filters, given)
        async with self._doorway.searching(conditions):
            walked = await self._database.read(page, noun.table, place, where, conditions, _referred(noun, given))
        rows = shown(where, walked)
        results = [noun.render(row) for row in rows]
        return json_reply(envelope(request, noun.path, where, walked, [row.id for row in rows], results))

    async def create(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        given = self._read(request, partial=False)
        made = await self._database.write_once(self._noun.create, place, given, request.now)
        return json_reply(self._noun.render(made), 201)

    async def fetch(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row = await self._database.read(self._noun.table.find, place, number_in_path(request))
        if row is None:
            raise missing()
        return json_reply(self._noun.render(row))

    async def replace(self, request: Request) -> Reply:
        return await self._change(request, partial=False)

    async def change(self, request: Request) -> Reply:
        return await self._change(request, partial=True)

    async def delete(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        await self._database.write_once(self._noun.delete, place, number_in_path(request), request.now)
        return Reply(204, b"")

    async def _change(self, request: Request, *, partial: bool) -> Reply:
        place, _ = await self._doorway.into(request)
        id = number_in_path(request)
        given = self._read(request, partial=partial)
        changed = await self._database.write_once(self._noun.change, place, id, given, request.now)
        return json_reply(self._noun.render(changed))

    def _read(self, request: Request, *, partial: bool) -> Given:
        body = read_body(request)
        return read_fields(self._noun.fields, body.object, partial=partial, is_form=body.is_form)


Referred = list[tuple[str, int]]


def _referred(noun: Noun, given: Mapping[str, str]) -> Referred:
    """Rows that filters name."""
    return [(name, int(given[name])) for name in _REFERRED if name in noun.filters and given.get(name)]


def page(
    tx: Transaction, table: Table[Any], place: str, where: Any, conditions: list[Any], referred: Referred
) -> list[Any]:
    """Raises Wrong for a filter by a row that there is not."""
    wrong = {name: [filters.NO_CHOICE] for name, id in referred if _REFERRED[name].find(tx, place, id) is None}
    if wrong:
        raise Wrong(wrong)
    return table.page(tx, place, where, conditions)
