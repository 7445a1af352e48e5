"""Operations on rules."""

import asyncio

import msgspec

from undercroft.database import Database, Transaction
from undercroft.families.sync import actions, store_entries
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http import shapes
from undercroft.families.sync.http.reading import Door, decode, reply
from undercroft.families.sync.model import Rule, check_rules
from undercroft.families.sync.sharing import Sharing
from undercroft.machinery.operations import Reply, Request

MOST_PREVIEWED = 100
_rules = msgspec.json.Decoder(shapes.RulesIn)


class Rules:
    def __init__(self, database: Database, engine: Engine, door: Door) -> None:
        self._database = database
        self._engine = engine
        self._door = door
        self._previewing = asyncio.Lock()

    async def fetch(self, request: Request) -> Reply:
        await self._door.admit(request)
        request.query(shapes.NoQuery)
        rules = await self._database.read(store_entries.rules)
        return reply(shapes.RulesOut(rules.stored))

    async def put(self, request: Request) -> Reply:
        await self._door.admit(request)
        await self._engine.put_rules(decode(_rules, request.body).rules, request.identity.email)
        return reply(shapes.Done())

    async def reload(self, request: Request) -> Reply:
        await self._door.admit(request)
        if await self._engine.apply_rules(request.identity.email):
            return reply(shapes.Done())
        return reply(shapes.UnderWay(reason="the rules count; files are still given out by them, page by page"), 202)

    async def applied(self, request: Request) -> Reply:
        """Whether all files are given out by the rules that count."""
        await self._door.admit(request)
        is_done = await self._database.read(store_entries.given_to) is None
        return reply(shapes.Done() if is_done else shapes.Done("under way"))

    async def preview(self, request: Request) -> Reply:
        """What these rules would change; nothing is changed. It looks at every file, page by page: one request at a
        time, and no further where nobody waits for it any more."""
        await self._door.admit(request)
        rules = decode(_rules, request.body).rules
        await self._database.read(_check, rules)
        async with self._previewing:
            return await self._preview(Sharing(rules), request)

    async def _preview(self, sharing: Sharing, request: Request) -> Reply:
        count, files = 0, list[shapes.PreviewedFile]()
        after: str | None = ""
        while after is not None and not (request.gone and request.gone.done()):
            found, after = await self._database.read(actions.preview_page, sharing, after)
            count += len(found)
            shown = found[: MOST_PREVIEWED - len(files)]
            files += [shapes.PreviewedFile(path, sorted(gains), sorted(loses)) for path, gains, loses in shown]
        return reply(shapes.Preview(count, files))


def _check(tx: Transaction, rules: tuple[Rule, ...]) -> None:
    check_rules(rules, actions.staying(tx))
