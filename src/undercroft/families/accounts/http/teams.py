"""Operations on teams."""

from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.reading import texts_in
from undercroft.families.accounts.http.rules import EMPTY, Parts, Rules, line_of_json
from undercroft.machinery.identity import teams
from undercroft.machinery.identity.memberships import teams_of
from undercroft.machinery.operations import Reply, Request, json_reply


class Teams:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._database = parts.database
        self._holders = rules.holders

    async def list_own(self, request: Request) -> Reply:
        found = await self._database.read(teams_of, request.identity.email)
        return json_reply([shapes.TeamName(name) for name in found])

    async def fetch(self, request: Request) -> Reply:
        name = request.path["team"]
        members = await self._database.read(teams.require_members, name, request.identity)
        return line_of_json(shapes.TeamOut(name, members))

    async def create(self, request: Request) -> Reply:
        name = teams.check_name(texts_in(request.body).get("name", ""))
        await self._database.write_once(teams.create_team, name, request.identity, request.now)
        return EMPTY

    async def remove(self, request: Request) -> Reply:
        await self._database.write_once(
            teams.remove_team, request.path["team"], request.identity, self._holders, request.now
        )
        return EMPTY

    async def add_member(self, request: Request) -> Reply:
        await self._database.write_once(teams.add_member, *_whom(request), request.identity, request.now)
        return EMPTY

    async def remove_member(self, request: Request) -> Reply:
        await self._database.write_once(teams.remove_member, *_whom(request), request.identity, request.now)
        return EMPTY


def _whom(request: Request) -> tuple[str, str]:
    return request.path["team"], request.path["email"]
