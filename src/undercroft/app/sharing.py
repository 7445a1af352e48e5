"""What the house answers about namespaces and events: whose a namespace is, and who did what."""

from typing import Any

import msgspec

from undercroft.app.house import PROBLEMS, Done
from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Database, Transaction
from undercroft.machinery import events
from undercroft.machinery.identity import namespaces
from undercroft.machinery.identity.memberships import lock_team
from undercroft.machinery.identity.model import ADMIN_TEAM, Identity
from undercroft.machinery.operations import Operation, Reply, Request, json_reply

MOST_PER_PAGE = 1_000


class Whose(msgspec.Struct):
    namespace: str
    teams: list[str]


class NamespaceList(msgspec.Struct):
    namespaces: list[Whose]
    cursor: str | None


class NamespaceQuery(msgspec.Struct):
    cursor: str = ""
    limit: int = 100


class EventOut(msgspec.Struct):
    id: int
    at: int
    actor: str
    family: str
    namespace: str | None
    action: str
    subject: str
    details: Any


class EventList(msgspec.Struct):
    events: list[EventOut]
    cursor: str | None


class EventQuery(msgspec.Struct):
    family: str | None = None
    cursor: int | None = None
    limit: int = 100


class Sharing:
    def __init__(self, database: Database, families: frozenset[str]) -> None:
        """`families`: those that keep things in namespaces."""
        self._database = database
        self._families = families

    def operations(self) -> list[Operation]:
        one = "/undercroft/namespaces/{namespace}/{team}"
        return [
            Operation("GET", "/undercroft/namespaces", self.list_namespaces, "Namespaces, and the teams they belong to",
                      "namespaces", query=NamespaceQuery, gives={200: NamespaceList, **PROBLEMS}),
            Operation("PUT", one, self.share, "Let another team act in a namespace of yours", "namespaces",
                      gives={200: Done, **PROBLEMS}),
            Operation("DELETE", one, self.unshare, "Let a team act there no more", "namespaces",
                      gives={200: Done, **PROBLEMS}),
            Operation("GET", "/undercroft/events", self.list_events, "Who did what, newest first", "read events",
                      query=EventQuery, gives={200: EventList, **PROBLEMS}),
        ]  # fmt: skip

    async def list_namespaces(self, request: Request) -> Reply:
        query = request.query(NamespaceQuery)
        within = _within(request.identity, self._families)
        found = await self._database.read(_namespaces, request.identity, within, query.cursor, _limit(query.limit))
        page = found[: query.limit]
        following = page[-1][0] if len(found) > query.limit else None
        return json_reply(NamespaceList([Whose(name, list(teams)) for name, teams in page], following))

    async def share(self, request: Request) -> Reply:
        place = namespaces.check(request.path["namespace"]), request.path["team"]
        await self._database.write_once(_share, request.identity, *place, request.now)
        return json_reply(Done())

    async def unshare(self, request: Request) -> Reply:
        place = namespaces.check(request.path["namespace"]), request.path["team"]
        await self._database.write_once(_unshare, request.identity, *place, request.now)
        return json_reply(Done())

    async def list_events(self, request: Request) -> Reply:
        query = request.query(EventQuery)
        found = await self._database.read(events.newest, query.cursor, query.family, _limit(query.limit))
        shown = [
            EventOut(*one[:7], details=None if one.details is None else msgspec.json.decode(one.details))
            for one in found[: query.limit]
        ]
        return json_reply(EventList(shown, str(shown[-1].id) if len(found) > query.limit else None))


def _limit(wanted: int) -> int:
    """One more than is shown: it tells whether there is another page."""
    if not 1 <= wanted <= MOST_PER_PAGE:
        raise invalid("query", f"limit is 1 to {MOST_PER_PAGE}")
    return wanted + 1


def _within(identity: Identity, families: frozenset[str]) -> set[str] | None:
    """The namespaces that the token's scopes are limited to; None where they name a whole family."""
    split = [scope.partition(":") for scope in identity.scopes or ()]
    if identity.scopes is None or any(family in families and not namespace for family, _, namespace in split):
        return None
    return {namespace for family, _, namespace in split if family in families and "\x00" not in namespace}


def _namespaces(
    tx: Transaction, identity: Identity, within: set[str] | None, after: str, limit: int
) -> list[tuple[str, tuple[str, ...]]]:
    teams = None if ADMIN_TEAM in identity.teams else identity.teams
    if within is None:
        return namespaces.listed(tx, teams, after, limit)
    return namespaces.among(tx, teams, sorted(name for name in within if name > after))[:limit]


def _share(tx: Transaction, identity: Identity, namespace: str, team: str, now: int) -> None:
    _check_may_share(tx, identity, namespace)
    handed_over = namespace == "@" + team  # to a team that is made only then: else it would begin shut out of its own
    if not lock_team(tx, team) and not handed_over:
        raise Refusal(Kind.NOT_FOUND, "team", f"there is no team {team[:100]!r}")
    namespaces.share(tx, namespace, team, now)
    events.record(tx, now, identity.email, "undercroft", namespace, "share namespace", team)


def _unshare(tx: Transaction, identity: Identity, namespace: str, team: str, now: int) -> None:
    _check_may_share(tx, identity, namespace)
    if not namespaces.unshare(tx, namespace, team):
        raise Refusal(Kind.NOT_FOUND, "team", f"{team[:100]!r} has no part in {namespace[:100]!r}")
    events.record(tx, now, identity.email, "undercroft", namespace, "unshare namespace", team)


def _check_may_share(tx: Transaction, identity: Identity, namespace: str) -> None:
    """Only with a token without scopes: one in the hands of an app gives nothing away."""
    if identity.scopes is not None or not namespaces.may_enter(tx, identity, namespace):
        raise Refusal(Kind.FORBIDDEN, "forbidden", f"{namespace[:100]!r} is not yours to share")
