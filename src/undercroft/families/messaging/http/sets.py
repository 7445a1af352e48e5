"""What there is of message sets beyond the usual: their messages, their languages, clones, sets as files."""

import asyncio

from undercroft.database import Database
from undercroft.families.messaging import importing, messages, messagesets, setfiles
from undercroft.families.messaging.errors import WHOLE, Wrong
from undercroft.families.messaging.given import Given
from undercroft.families.messaging.http import fields, rendering
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Bad, Field, read_fields
from undercroft.families.messaging.http.paging import base_url
from undercroft.families.messaging.http.parsing import number_in_path, read_body
from undercroft.families.messaging.refusing import by_field
from undercroft.machinery.operations import Reply, Request, json_reply

_NAME = (Field("short_name", fields.text(100), required=True),)
# Onto which set stands in the path; by which schedule need not be said.
_PERSON = tuple(
    one._replace(required=False) if one.name == "schedule" else one
    for one in fields.SUBSCRIPTION
    if one.name != "messageset"
)
_TYPES = {"yaml": b"application/yaml", "csv": b"text/csv; charset=utf-8"}


class MessageSets:
    def __init__(self, database: Database, doorway: Doorway) -> None:
        self._database = database
        self._doorway = doorway

    async def messages(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        id = number_in_path(request)
        row, messages = await self._database.read(setfiles.whole_set, place, id)
        return json_reply(rendering.set_with_messages(row, messages, base_url(request)))

    async def content(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        row, binary = await self._database.read(messages.with_file, place, number_in_path(request))
        return json_reply(rendering.content(row, binary, base_url(request)))

    async def languages(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        found = await self._database.read(messagesets.languages, place)
        return json_reply({str(id): languages for id, languages in found.items()})

    async def clone(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        given = read_fields(_NAME, read_body(request).object, partial=False)
        if given.errors:
            raise Wrong(given.errors)
        name = given.values["short_name"]
        made = await self._database.write_once(messagesets.clone, place, number_in_path(request), name, request.now)
        return json_reply(rendering.message_set(made), 201)

    async def export(self, request: Request) -> Reply:
        """As CSV with one message per row, or as YAML with everything that is said of the set."""
        place, given = await self._doorway.into(request)
        kind = _kind(given.get("to", "yaml"))
        row, messages = await self._database.read(setfiles.whole_set, place, number_in_path(request))
        written = setfiles.write_csv(messages) if kind == "csv" else setfiles.write_yaml(row, messages)
        return Reply(200, written.encode(), _TYPES[kind])

    async def import_set(self, request: Request) -> Reply:
        """Puts the file's messages into the set; those whose number and language are there get new words."""
        place, given = await self._doorway.into(request)
        id, kind = number_in_path(request), _kind(given.get("to", "yaml"))
        rows = await asyncio.to_thread(self._messages_in, request.body, kind)
        await self._database.read(importing.check_messages, place, id, rows)
        created = changed = 0
        for one in importing.pages(rows):
            done = await self._database.write_once(importing.put_messages, place, id, one, request.now)
            created, changed = created + done.created, changed + done.changed
        return json_reply({"created": created, "changed": changed})

    async def subscribe(self, request: Request) -> Reply:
        """A page of people; whoever is on the set already, or was, is passed by."""
        place, _ = await self._doorway.into(request)
        id, rows = number_in_path(request), read_body(request).object.get("subscriptions")
        if not isinstance(rows, list) or len(rows) > importing.MOST_SUBSCRIBERS:
            raise Wrong({"subscriptions": [f"Expected a list of up to {importing.MOST_SUBSCRIBERS} subscriptions."]})
        page = [_person(row) for row in rows]
        done = await self._database.write_once(importing.subscribe_many, place, id, page, request.now)
        failed = [{"row": row, "error": by_field(why)} for row, why in done.failed.items()]
        return json_reply({"subscribed": done.subscribed, "passed_by": done.passed_by, "failed": failed})

    def _messages_in(self, content: bytes, kind: str) -> list[dict[str, object]]:
        """In a thread: others have requests, too."""
        return [self._message(number, row) for number, row in enumerate(setfiles.read_file(content, kind), 1)]

    def _message(self, number: int, row: dict[str, object]) -> dict[str, object]:
        given = read_fields(fields.MESSAGE[1:5], row, partial=False)
        if given.errors:
            raise Wrong({f"message {number}": [f"{name}: {words[0]}" for name, words in given.errors.items()]})
        return {"metadata": "{}", "text_content": None, **given.values}


def _person(row: object) -> Given:
    if not isinstance(row, dict):
        return Given({}, {WHOLE: ["Expected an object with identity and lang."]})
    return read_fields(_PERSON, row, partial=False)


def _kind(word: str) -> str:
    if word not in _TYPES:
        raise Wrong({"to": [str(Bad(f'"{word}" is not a valid choice. Write yaml or csv.'))]})
    return word
