"""Every operation that the server has, and who is refused there: a new one that is open to somebody new fails here."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.app import assembly
from undercroft.app.permissions import PERMISSIONS
from undercroft.app.router import Served
from undercroft.app.settings import Settings
from undercroft.base.clock import wall_clock
from undercroft.database import open_database
from undercroft.machinery.operations import Access

# What anybody may call, and why that is right.
OPEN = {
    "GET /health": "it tells that the server is there",
    "POST /signin": "the way in, by a token",
    "POST /signout": "ends the session of its own cookie",
    "POST /users": "where public_signup is off, it asks for an admin itself",
    "POST /users/{email}/tokens": "the way in, by a password",
    "POST /users/{email}/password": "the way in, by a mailed token",
    "POST /api/token-auth": "the way in, by a password",
    "GET /media/{name}": "files of messages, for who knows their names",
    "GET /api": "leads to the docs, which ask for a token",
    "GET /api/v1.0": "leads to the docs, which ask for a token",
    "GET /api/v1/optout/{token}": "a signed link out of a mail",
    "POST /api/v1/optout/{token}": "a signed link out of a mail",
}
# What any good token may call, whatever its scopes: it is about itself, or a page for its own eyes.
ABOUT_ONESELF = {("undercroft", "who am I"), ("undercroft", "own tokens"), ("undercroft", "namespaces"),
                 ("undercroft", "read docs"), ("accounts", "sign out")}  # fmt: skip
SCOPED = (Access.SCOPED, Access.SCOPED_WITHIN, Access.SCOPED_PAGE)
NAMESPACE, TEAM = "shop-of-crew", "crew"
MEMBER, OUTSIDER = "ann@crew.example", "eve@else.example"
REFUSED = (401, 403)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    """What `assemble` hands to the server."""
    found: list[Served] = []

    async def collect() -> None:
        url = f"sqlite:///{tmp_path_factory.mktemp('served')}/x.db"
        database = await open_database(url, assembly.all_migrations(), lambda: 0, pool=1)
        parts = assembly.assemble(Settings(), database, lambda: 0, "one", "mark")
        found.extend(parts.server.served)
        await database.close()

    asyncio.run(collect())
    return found


class Tokens(NamedTuple):
    admin: str
    member: str
    outsider: str
    expired: str


class House:
    def __init__(self, croft: Croft) -> None:
        self.croft = croft
        self._http = httpx.Client(base_url=croft.url, timeout=30, trust_env=False)
        self.tokens = Tokens(croft.token, *(self._token(email) for email in (MEMBER, OUTSIDER)), self._expired())
        self._join(MEMBER, TEAM)
        self._join(OUTSIDER, "others")
        route = {"id": "r", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
        made = self.call("POST", f"/route/{NAMESPACE}", self.tokens.member, route)
        assert made.status_code == 200, made.text

    def call(self, method: str, path: str, token: str | None, body: Any = None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"bearer {token}"}
        return self._http.request(method, path, json=body, headers=headers)

    def close(self) -> None:
        self._http.close()

    def scoped(self, *scopes: str) -> str:
        made = self.croft.http.post("/undercroft/tokens", json={"name": "x", "scopes": list(scopes)})
        return str(made.json()["token"])

    def _token(self, email: str) -> str:
        return str(self.croft.http.post("/api/v1/user/token/", json={"email": email}).json()["token"])

    def _expired(self) -> str:
        made = self.croft.http.post("/undercroft/tokens", json={"name": "x", "expires_in": 1})
        token = str(made.json()["token"])
        wait_until(lambda: self.call("GET", "/undercroft/me", token).status_code == 401, "a token to expire")
        return token

    def _join(self, email: str, team: str) -> None:
        token = self.tokens.member if email == MEMBER else self.tokens.outsider
        assert self.call("POST", "/teams", token, {"name": team}).status_code == 200


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    croft = Croft(tmp_path_factory.mktemp("who-may"))
    croft.start()
    opened = House(croft)
    yield opened
    opened.close()
    croft.close()


def name_of(one: Served) -> str:
    return f"{one.operation.method} {one.operation.path}"


def calls(served: list[Served], which: Callable[[Served], bool]) -> Iterator[tuple[Served, str, str]]:
    """(what, method, path), the parameters filled in."""
    filled = {"db": NAMESPACE, "namespace": NAMESPACE, "team": TEAM, "email": MEMBER, "user": MEMBER,
              "address": MEMBER}  # fmt: skip
    for one in served:
        if which(one):
            path = re.sub(r"\{(\w+)\}", lambda name: filled.get(name[1], "1"), one.operation.path)
            yield one, one.operation.method, path


def examples() -> dict[str, Any]:
    """Operation → the body of its example in the docs."""
    guides = [getattr(family, "GUIDE", None) for family in assembly.FAMILIES]
    return {name: example.body for guide in guides if guide for name, example in guide.examples(wall_clock()).items()}


def test_only_what_is_meant_to_be_is_open_to_anybody(served: list[Served]) -> None:
    assert {name_of(one) for one in served if one.access is Access.PUBLIC} <= set(OPEN)


def test_only_what_is_about_oneself_is_open_to_any_token(served: list[Served]) -> None:
    open_to_any = {(one.family or "undercroft", one.operation.verb) for one in served
                   if one.access in (Access.SIGNED_IN, Access.PAGE)}  # fmt: skip
    assert {row for row in open_to_any if row[0] != "dashboard"} <= ABOUT_ONESELF


def test_every_row_of_the_table_is_of_use(served: list[Served]) -> None:
    used = {(one.family or "undercroft", one.operation.verb) for one in served}
    assert {(family, verb) for family, of in PERMISSIONS.items() for verb in of} == used


@pytest.mark.parametrize("which", ["none", "wrong", "expired"])
def test_without_a_good_token_every_operation_is_refused(house: House, served: list[Served], which: str) -> None:
    token = {"none": None, "wrong": "wrong", "expired": house.tokens.expired}[which]
    let_in = []
    for one, method, path in calls(served, lambda one: one.access is not Access.PUBLIC):
        status = house.call(method, path, token, {}).status_code
        if status != 401 and not (one.family == "dashboard" and status in (303, 403)):  # shown the way in
            let_in.append((name_of(one), status))
    assert let_in == [], let_in


def test_a_closed_sign_up_is_refused(house: House) -> None:
    body = {"email": "new@crew.example", "password": "a good one"}
    for token in (None, "wrong", house.tokens.expired, house.tokens.member, house.scoped("accounts")):
        assert house.call("POST", "/users", token, body).status_code == 401


def test_a_token_of_another_scope_is_refused(house: House, served: list[Served]) -> None:
    """Though an admin has made it."""
    let_in = []
    tokens = {family: house.scoped("locks" if family == "timers" else "timers") for family in {s[1] for s in served}}
    app = house.croft.http.post("/tokens", json={"client": "cart"}).json()["Token"]
    for one, method, path in calls(served, lambda one: one.access in (*SCOPED, Access.ADMIN)):
        for token in (tokens[one.family], app):
            status = house.call(method, path, token, {}).status_code
            if status not in REFUSED:
                let_in.append((name_of(one), status))
    assert let_in == [], let_in


def test_who_is_no_admin_is_refused_where_admins_are_asked_for(house: House, served: list[Served]) -> None:
    let_in = [
        name_of(one)
        for one, method, path in calls(served, lambda one: one.access is Access.ADMIN)
        for token in (house.tokens.member, house.scoped("accounts", "timers", "locks"))
        if house.call(method, path, token, {}).status_code != 403
    ]
    assert let_in == [], let_in


def test_another_teams_member_is_refused_in_every_namespace(house: House, served: list[Served]) -> None:
    bodies, let_in = examples(), []
    narrow = {
        one.family: house.scoped(f"{one.family}:another") for one in served if one.access in SCOPED and one.family
    }
    for one, method, path in calls(served, _is_in_a_namespace):
        body = bodies.get(name_of(one)) or {}
        where = path if one.operation.namespace else f"{path}?namespace={NAMESPACE}"
        if method == "POST" and not one.operation.namespace:
            body = {**body, "namespace": NAMESPACE}
        for token in (house.tokens.outsider, narrow[one.family]):
            status = house.call(method, where, token, body).status_code
            if status != 403:
                let_in.append((name_of(one), status))
    assert let_in == [], let_in


def test_another_teams_member_is_refused_in_every_team_and_account(house: House, served: list[Served]) -> None:
    let_in = []
    for one, method, path in calls(served, lambda one: bool({"{team}", "{email}", "{user}"} & set(_steps(one)))):
        status = house.call(method, path, house.tokens.outsider, {}).status_code
        if one.access is not Access.PUBLIC and status not in (401, 403, 404):
            let_in.append((name_of(one), status))
    assert let_in == [], let_in
    members = house.call("GET", f"/teams/{TEAM}", house.tokens.member).json()["users"]
    assert members == [MEMBER]


def test_whose_it_is_comes_in(house: House) -> None:
    """Else the tests above would hold for a server that refuses everybody."""
    for token in (house.tokens.member, house.tokens.admin):
        assert house.call("GET", f"/route/{NAMESPACE}/r", token).status_code == 200
        assert house.call("GET", f"/systems/locks?namespace={NAMESPACE}", token).status_code == 200
        assert house.call("GET", f"/teams/{TEAM}", token).status_code == 200
        assert house.call("GET", f"/quota/{MEMBER}", token).status_code == 200
    assert house.call("GET", "/users", house.tokens.admin).status_code == 200


def _is_in_a_namespace(one: Served) -> bool:
    return bool(one.operation.namespace) or one.access is Access.SCOPED_WITHIN


def _steps(one: Served) -> list[str]:
    return one.operation.path.split("/")
