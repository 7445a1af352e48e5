"""Operations on the suppression list: whom no mail goes to any more."""

import msgspec

from undercroft.base.refusals import invalid, not_found
from undercroft.database import Database
from undercroft.families.mail.http import shapes
from undercroft.families.mail.http.reading import Door, check_limit, decode, where
from undercroft.families.mail.http.weighing import weigh
from undercroft.families.mail.model import MOST_SUPPRESSED, SuppressionIn, SuppressionsIn
from undercroft.machinery.mail import suppressions
from undercroft.machinery.mail.addresses import key_of, read_mailbox, read_mailboxes
from undercroft.machinery.mail.headers import check_line
from undercroft.machinery.operations import Reply, Request, json_reply

_suppression = msgspec.json.Decoder(SuppressionIn)
_suppressions = msgspec.json.Decoder(SuppressionsIn)
LONGEST_REASON = 500


class Suppressions:
    def __init__(self, database: Database, door: Door) -> None:
        self._database = database
        self._door = door

    async def put(self, request: Request) -> Reply:
        address = _address(request)
        given = decode(_suppression, request.body) if request.body.strip() else SuppressionIn()
        reason = _checked_reason(given.reason)
        namespace = await self._namespace(request, writing=True)
        await self._database.write(suppressions.put, namespace, [address], reason, request.now)
        return json_reply(shapes.Done())

    async def put_all(self, request: Request) -> Reply:
        """Of several addresses, or of one: such as those that a relay reports."""
        weigh(request.body)
        given = decode(_suppressions, request.body)
        too_many = invalid("recipients", f"{MOST_SUPPRESSED} addresses at the most are put on the list at once")
        addresses = [one.address for one in read_mailboxes("address", given.address, MOST_SUPPRESSED, too_many)]
        if not addresses:
            raise invalid("address", "address is missing: whom no mail goes to any more")
        reason = _checked_reason(given.reason)
        namespace = await self._door.namespace(request, where(request, given.namespace), writing=True)
        await self._database.write(suppressions.put, namespace, addresses, reason, request.now)
        return json_reply(shapes.Done())

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.PageQuery)
        limit = check_limit(query.limit)
        namespace = await self._door.namespace(request, query.namespace, writing=False)
        found = await self._database.read(suppressions.page, namespace, query.cursor or "", limit + 1)
        following = found[limit - 1].address if len(found) > limit else None
        shown = [shapes.SuppressionOut(*one) for one in found[:limit]]
        return json_reply(shapes.SuppressionList(shown, following))

    async def remove(self, request: Request) -> Reply:
        address = _address(request)
        if not await self._database.write(suppressions.remove, await self._namespace(request, writing=False), address):
            raise not_found("unknown_suppression", f"{address} is not on the suppression list")
        return json_reply(shapes.Done())

    async def _namespace(self, request: Request, *, writing: bool) -> str:
        return await self._door.namespace(request, request.query(shapes.WhereQuery).namespace, writing=writing)


def _checked_reason(reason: str | None) -> str | None:
    return reason and check_line("body", reason, LONGEST_REASON)


def _address(request: Request) -> str:
    mailbox = read_mailbox("the path", request.path["address"])
    if mailbox.name:
        raise invalid("address", "the path takes an address without a name")
    return key_of(mailbox.address)
