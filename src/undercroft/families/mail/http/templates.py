"""Operations on templates."""

import re

import msgspec

from undercroft.base.refusals import Refusal, invalid, not_found
from undercroft.database import Database
from undercroft.families.mail.http import shapes
from undercroft.families.mail.http.reading import Door, check_limit, decode
from undercroft.families.mail.model import TemplateIn
from undercroft.machinery.mail import templates
from undercroft.machinery.mail.headers import check_line
from undercroft.machinery.mail.model import LONGEST_BODY, LONGEST_SUBJECT
from undercroft.machinery.mail.templates import Template
from undercroft.machinery.operations import Reply, Request, json_reply

_template = msgspec.json.Decoder(TemplateIn)
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{templates.LONGEST_NAME - 1}}}")


class Templates:
    def __init__(self, database: Database, door: Door) -> None:
        self._database = database
        self._door = door

    async def put(self, request: Request) -> Reply:
        name, given = _checked_name(request.path["name"]), decode(_template, request.body)
        made = Template(name, *_checked(given), request.now)
        await self._database.write(templates.put, await self._namespace(request, writing=True), made)
        return json_reply(shapes.Done())

    async def fetch(self, request: Request) -> Reply:
        name = request.path["name"]
        found = await self._database.read(templates.find, await self._namespace(request, writing=False), name)
        if found is None:
            raise _unknown(name)
        return json_reply(_shown(found))

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.PageQuery)
        limit = check_limit(query.limit)
        namespace = await self._door.namespace(request, query.namespace, writing=False)
        found = await self._database.read(templates.page, namespace, query.cursor or "", limit + 1)
        following = found[limit - 1].name if len(found) > limit else None
        return json_reply(shapes.TemplateList([_shown(one) for one in found[:limit]], following))

    async def remove(self, request: Request) -> Reply:
        name = request.path["name"]
        namespace = await self._namespace(request, writing=False)
        if not await self._database.write(templates.remove, namespace, name):
            raise _unknown(name)
        return json_reply(shapes.Done())

    async def _namespace(self, request: Request, *, writing: bool) -> str:
        return await self._door.namespace(request, request.query(shapes.WhereQuery).namespace, writing=writing)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid("template", f"a template's name has 1 to {templates.LONGEST_NAME} of A-Z a-z 0-9 . _ -")
    return name


def _checked(given: TemplateIn) -> tuple[str, str | None, str | None]:
    if given.text is None and given.html is None:
        raise invalid("body", "a template has text, html or both")
    for body in (given.text, given.html):
        if body is not None and (len(body) > LONGEST_BODY or "\x00" in body):
            raise invalid(
                "body", f"text and html have {LONGEST_BODY} characters at the most, without the NUL character"
            )
    return check_line("subject", given.subject, LONGEST_SUBJECT), given.text, given.html


def _shown(one: Template) -> shapes.TemplateOut:
    return shapes.TemplateOut(one.name, one.subject, one.text, one.html, templates.blanks(one), one.changed_at)


def _unknown(name: str) -> Refusal:
    return not_found("template", f"there is no template {name[:100]!r}")
