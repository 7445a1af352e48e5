"""Stage rules on the wire: their fields, whom one would subscribe, having it done, and what was done."""

from collections import Counter
from typing import Any

import msgspec

from undercroft.database import Database, Transaction
from undercroft.families.messaging.http import fields
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Bad, Field, read_fields
from undercroft.families.messaging.http.paging import envelope, link, shown, window
from undercroft.families.messaging.http.parsing import number_in_path, read_body
from undercroft.families.messaging.http.rendering import ROOT, moment
from undercroft.families.messaging.http.resource import Noun
from undercroft.families.messaging.model import EMAIL, MSISDN
from undercroft.families.messaging.rules import actions, trying
from undercroft.families.messaging.rules.matching import (
    OF_IDENTITIES,
    OF_SUBSCRIPTIONS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Decision,
    Firing,
    Rule,
    text_of,
)
from undercroft.families.messaging.store import FIRINGS, RULES
from undercroft.families.messaging.tables import Window
from undercroft.machinery.operations import Reply, Request, json_reply

PATH = f"{ROOT}/rules"
_MOST_CONDITIONS, _MOST_VALUES, _LONGEST_VALUE = 20, 50, 1_000


def scalar(value: Any) -> str:
    """A text, a number, true or false; kept as JSON."""
    if not isinstance(value, str | int | float | bool):
        raise Bad("Expected a text, a number, true or false.")
    try:
        words = text_of(value)
    except (OverflowError, ValueError):
        raise Bad("Value must be valid JSON.") from None
    if len(words) > _LONGEST_VALUE:
        raise Bad(f"Ensure this field has no more than {_LONGEST_VALUE} characters.")
    return words


def conditions(value: Any) -> str:
    """{"city": "Lagos", "plan": ["a", "b"], "left": null}: of each field what it has to be; kept as JSON."""
    if not isinstance(value, dict) or len(value) > _MOST_CONDITIONS:
        raise Bad(f'Expected an object of up to {_MOST_CONDITIONS} fields, such as {{"city": "Lagos"}}.')
    for name, wanted in value.items():
        fields.text(100)(name)
        listed = wanted if isinstance(wanted, list) else [wanted]
        if not listed or len(listed) > _MOST_VALUES:
            raise Bad(f"{name[:50]}: expected a value, or a list of up to {_MOST_VALUES} of them.")
        for one in listed:
            if one is not None:
                scalar(one)
    return text_of(value)


RULE = (
    Field("name", fields.text(100), required=True),
    Field("event", fields.choice(*OF_SUBSCRIPTIONS, *OF_IDENTITIES), required=True),
    Field("messageset", fields.key(null=True), null=True),
    Field("number", fields.integer, null=True),
    Field("address_type", fields.choice(MSISDN, EMAIL), null=True),
    Field("field", fields.text(100), null=True),
    Field("value", scalar, null=True),
    Field("lang", fields.text(6), null=True),
    Field("conditions", conditions),
    Field("action", fields.choice(SUBSCRIBE, UNSUBSCRIBE), required=True),
    Field("target", fields.key(), required=True),
    Field("schedule", fields.key(null=True), null=True),
    Field("first_number", fields.integer),
    Field("default_lang", fields.text(6), null=True),
    Field("active", fields.boolean, in_form=0),
)


def rule(row: Rule) -> dict[str, Any]:
    return {
        **{name: value for name, value in row._asdict().items() if name != "namespace"},
        "value": None if row.value is None else msgspec.Raw(row.value.encode()),
        "conditions": msgspec.Raw(row.conditions.encode()),
        "active": bool(row.active),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


NOUN = Noun(PATH, RULES, RULE, actions.create, actions.change, actions.delete, rule)


class Rules:
    """Beside the usual, which is a Resource's."""

    def __init__(self, database: Database, doorway: Doorway) -> None:
        self._database = database
        self._doorway = doorway

    async def preview(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        answer = await self._database.read(_preview, place, number_in_path(request), window(given))
        return json_reply(_previewed(request, *answer))

    async def preview_unsaved(self, request: Request) -> Reply:
        """Of a rule that is only thought of."""
        place, given = await self._doorway.into(request)
        body = read_fields(RULE, read_body(request).object, partial=False)
        thought = await self._database.read(actions.not_saved, place, body, request.now)
        answer = await self._database.read(_try, thought, window(given))
        return json_reply(_previewed(request, *answer))

    async def apply(self, request: Request) -> Reply:
        """A piece in each transaction: whom it was done for before is passed over, so that it may be asked again."""
        place, _ = await self._doorway.into(request)
        id, outcomes, position = number_in_path(request), Counter[str](), None
        while True:
            done, position = await self._database.write_once(trying.apply, place, id, position, request.now)
            outcomes += done
            if position is None:
                return json_reply({"outcomes": dict(outcomes)})

    async def firings(self, request: Request) -> Reply:
        place, given = await self._doorway.into(request)
        id, where = number_in_path(request), window(given)
        walked = await self._database.read(_firings, place, id, where)
        rows = shown(where, walked)
        path = f"{PATH}/{id}/firings"
        return json_reply(envelope(request, path, where, walked, [row.id for row in rows], [_firing(r) for r in rows]))


Tried = tuple[list[Decision], int | None, bool]


def _preview(tx: Transaction, place: str, id: int, where: Window) -> Tried:
    return _try(tx, actions.require(tx, place, id), where)


def _try(tx: Transaction, rule: Rule, where: Window) -> Tried:
    decisions, onward = trying.whom(tx, rule, where.position)
    return decisions, onward, actions.is_in_circle(tx, rule)


def _previewed(request: Request, decisions: list[Decision], onward: int | None, circle: bool) -> dict[str, Any]:
    """`leads_back`: whom it subscribes comes back to where it began, until the chain has its full length."""
    path = f"{PATH}/{request.path['id']}/preview" if "id" in request.path else f"{PATH}/preview"
    results = [{"identity": one.event.identity, "lang": one.lang or None, "outcome": one.outcome} for one in decisions]
    return {"leads_back": circle, "next": onward and link(request, path, onward), "previous": None, "results": results}


def _firings(tx: Transaction, place: str, id: int, where: Window) -> list[Firing]:
    actions.require(tx, place, id)
    return FIRINGS.page(tx, place, where, [("rule = :{}", id)])


def _firing(row: Firing) -> dict[str, Any]:
    return {
        "id": row.id,
        "identity": row.identity,
        "outcome": row.outcome,
        "subscription": row.subscription,
        "created_at": moment(row.created_at),
    }
