"""Whose a namespace is: its first writer's teams', and of those with whom it is shared."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.database.engines import all_migrations
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, open_database
from undercroft.machinery.identity import memberships, namespaces, store
from undercroft.machinery.identity.gate import REMEMBERED, Gate, check_still_in
from undercroft.machinery.identity.model import ANONYMOUS, Identity, Token

pytestmark = pytest.mark.anyio

ADMIN = Identity("admin@localhost", ("admin",), "t0")
WEB = Identity("ann@web.example", ("web",), "t1", home="web")
SHOP = Identity("bob@shop.example", ("shop",), "t2")
BOTH = Identity("eve@both.example", ("shop", "web"), "t3", home="web")
NOBODY = Identity("new@web.example", (), "t4")
OF_WEB_FOR_CARTS = WEB._replace(token="t5", scopes=("timers:carts",))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url, all_migrations(), lambda: 0, pool=4)
    for identity in (ADMIN, WEB, SHOP, BOTH):
        for team in identity.teams:
            await opened.write(memberships.put_team, team, 0)
            await opened.write(memberships.put_member, team, identity.email, 0)
    yield opened
    await opened.close()


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database, lambda: 0)


async def enter(gate: Gate, identity: Identity, namespace: str, *, writing: bool = True, now: int = 0) -> bool:
    try:
        await gate.enter(identity, "timers", namespace, now, writing=writing)
    except Refusal as refusal:
        assert refusal.kind is Kind.FORBIDDEN
        return False
    return True


async def test_the_first_who_writes_makes_it_their_teams(gate: Gate, database: Database) -> None:
    assert await enter(gate, SHOP, "carts", writing=False), "there is nothing in it to be hidden"
    assert await database.read(namespaces.owners, "carts") == ()
    assert await enter(gate, WEB, "carts")

    assert await database.read(namespaces.owners, "carts") == ("web",)
    assert not await enter(gate, SHOP, "carts")
    assert not await enter(gate, SHOP, "carts", writing=False)
    assert await enter(gate, BOTH, "carts")
    assert await enter(gate, ADMIN, "carts")
    assert await enter(gate, ANONYMOUS, "carts"), "the settings say who comes in without a name"


async def test_what_admins_and_the_anonymous_begin_is_the_admins(gate: Gate, database: Database) -> None:
    assert await enter(gate, ADMIN, "a")
    assert await enter(gate, ANONYMOUS, "b")

    assert [await database.read(namespaces.owners, name) for name in "ab"] == [("admin",), ("admin",)]
    assert not await enter(gate, WEB, "a")


async def test_who_is_in_no_team_owns_nothing(gate: Gate) -> None:
    assert not await enter(gate, NOBODY, "carts")


async def test_the_teams_name_is_a_namespace_of_its_own(gate: Gate) -> None:
    assert await enter(gate, WEB, "@web")
    assert not await enter(gate, SHOP, "@web")
    assert not await enter(gate, WEB, "@nobody")


async def test_a_scope_is_needed_too(gate: Gate) -> None:
    assert await enter(gate, OF_WEB_FOR_CARTS, "carts")
    assert not await enter(gate, OF_WEB_FOR_CARTS, "orders")
    assert not await enter(gate, OF_WEB_FOR_CARTS._replace(teams=("shop",), token="t6"), "carts")


async def test_shared_and_no_more(gate: Gate, database: Database) -> None:
    await enter(gate, WEB, "carts")
    await database.write(namespaces.share, "carts", "shop", 1)
    assert await enter(gate, SHOP, "carts")

    await database.write(namespaces.unshare, "carts", "shop")

    assert not await enter(gate, SHOP, "carts"), "what was remembered is forgotten at once"
    with pytest.raises(Refusal, match="the only team"):
        await database.write(namespaces.unshare, "carts", "web")


async def test_sharing_its_own_namespace_a_team_stays_in_it(gate: Gate, database: Database) -> None:
    await database.write(namespaces.share, "@web", "shop", 1)

    assert await enter(gate, SHOP, "@web")
    assert await enter(gate, WEB, "@web")


async def test_a_later_team_of_the_same_name_finds_nothing(gate: Gate, database: Database) -> None:
    await enter(gate, WEB, "carts")
    await database.write(namespaces.share, "orders", "web", 1)
    await database.write(namespaces.share, "orders", "shop", 1)

    await database.write(namespaces.leave_to_admins, "web", 2)

    assert not await enter(gate, WEB, "carts")
    assert not await enter(gate, WEB, "@web")
    assert not await enter(gate, WEB, "orders")
    assert await enter(gate, SHOP, "orders")
    assert await enter(gate, ADMIN, "@web")


async def test_of_two_who_come_at_once_one_gets_it(database: Database) -> None:
    for name in map(str, range(20)):
        await asyncio.gather(
            *(database.write(namespaces.claim, name, who, 0, str(n)) for n, who in enumerate((WEB, SHOP, WEB, SHOP)))
        )

        assert len(await database.read(namespaces.owners, name)) == 1


async def test_an_entry_is_remembered_for_a_few_seconds_only(gate: Gate) -> None:
    await enter(gate, WEB, "carts", now=1_000)
    assert not gate.has_entered(WEB, "carts", 1_000), "the claim may still be taken back"
    await gate.settle(refused=False)
    await enter(gate, WEB, "carts", now=1_000)

    assert gate.has_entered(WEB, "carts", 1_000 + REMEMBERED - 1)
    assert not gate.has_entered(WEB, "carts", 1_000 + REMEMBERED)
    assert not gate.has_entered(WEB, "carts", 999), "a clock that was set back"


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (ADMIN, "@admin"),
        (ANONYMOUS, "@admin"),
        (WEB, "@web"),
        (OF_WEB_FOR_CARTS, "carts"),
        (BOTH, "@web"),
        (WEB._replace(scopes=("timers",)), "@web"),
        (WEB._replace(scopes=("timers", "timers:carts")), "@web"),
        (WEB._replace(scopes=("locks:carts",)), "@web"),
    ],
)
def test_where_a_request_without_a_namespace_belongs(identity: Identity, expected: str) -> None:
    assert namespaces.default_for(identity, "timers") == expected


def test_who_is_in_no_team_has_no_place() -> None:
    with pytest.raises(Refusal, match="team"):
        namespaces.default_for(NOBODY, "timers")


async def test_nobody_leads_anothers_requests_elsewhere_by_taking_them_in(database: Database) -> None:
    token = Token("t9", "ann@web.example", "its", None, 0, None, None)
    await database.write(store.put_token, token, "digest of it", "made")
    await database.write(memberships.put_team, "aaa", 5)
    await database.write(memberships.put_member, "aaa", token.email, 5)
    identity = await database.read(store.find_identity, "digest of it")
    assert identity is not None
    assert (identity.teams, namespaces.default_for(identity, "timers")) == (("aaa", "web"), "@web")


async def test_a_guest_does_not_put_the_owner_out(database: Database) -> None:
    await database.write(namespaces.share, "@web", "shop", 0)
    with pytest.raises(Refusal, match="the team's own"):
        await database.write(namespaces.unshare, "@web", "web")
    assert await database.write(namespaces.unshare, "@web", "shop")


async def test_lists(gate: Gate, database: Database) -> None:
    for name in ("c", "a", "b"):
        await enter(gate, WEB, name)
    await enter(gate, SHOP, "s")
    await database.write(namespaces.share, "b", "shop", 1)

    everything = await database.read(namespaces.listed, None, "", 10)
    assert everything == [("a", ("web",)), ("b", ("shop", "web")), ("c", ("web",)), ("s", ("shop",))]
    assert [name for name, _ in await database.read(namespaces.listed, ("shop",), "", 10)] == ["b", "s"]
    assert [name for name, _ in await database.read(namespaces.listed, None, "a", 2)] == ["b", "c"]
    assert await database.read(namespaces.listed, (), "", 10) == []
    assert set(await database.read(namespaces.of_identity, SHOP)) == {"@shop", "b", "s"}


async def test_a_refused_request_leaves_the_namespace_to_nobody(gate: Gate, database: Database) -> None:
    await enter(gate, WEB, "carts")
    await enter(gate, WEB, "carts")  # the second part of the same request
    await gate.settle(refused=True)

    assert await database.read(namespaces.owners, "carts") == ()
    assert await enter(gate, SHOP, "carts")
    assert not await enter(gate, WEB, "carts")
    assert await database.read(namespaces.owners, "carts") == ("shop",)


@pytest.mark.parametrize("other", [WEB, BOTH, ADMIN, ANONYMOUS])
async def test_a_claim_stays_once_another_request_relies_on_it(gate: Gate, database: Database, other: Identity) -> None:
    await enter(gate, WEB, "carts")
    assert not await asyncio.create_task(enter(gate, SHOP, "carts")), "who is not let in changes nothing"
    assert await asyncio.create_task(enter(gate, other, "carts"))

    await gate.settle(refused=True)

    assert await database.read(namespaces.owners, "carts") == ("web",)


async def test_what_was_shared_meanwhile_stays(gate: Gate, database: Database) -> None:
    await enter(gate, WEB, "carts")
    await database.write(namespaces.share, "carts", "shop", 1)

    await gate.settle(refused=True)

    assert await database.read(namespaces.owners, "carts") == ("shop", "web")


async def test_a_claim_that_did_not_hold_is_not_relied_on(gate: Gate, database: Database) -> None:
    await enter(gate, WEB, "carts")
    await asyncio.create_task(enter(gate, ADMIN, "carts", writing=False))
    assert not gate.has_entered(ADMIN, "carts", 0)


async def test_of_two_unshares_at_once_one_is_refused(gate: Gate, database: Database) -> None:
    for name in map(str, range(20)):
        await enter(gate, BOTH, name)
        results = await asyncio.gather(
            *(database.write(namespaces.unshare, name, team) for team in ("web", "shop")), return_exceptions=True
        )

        assert sorted(isinstance(result, Refusal) for result in results) == [False, True]
        assert len(await database.read(namespaces.owners, name)) == 1


async def test_a_removed_team_claims_nothing(gate: Gate, database: Database) -> None:
    await database.write(lambda tx: tx.run("DELETE FROM teams WHERE name = 'web'"))

    assert not await enter(gate, WEB, "carts")
    assert await enter(gate, BOTH, "carts")
    assert await database.read(namespaces.owners, "carts") == ("shop",)


async def test_a_claim_without_owners_lets_nobody_in(gate: Gate, database: Database) -> None:
    await database.write(lambda tx: tx.run("INSERT INTO namespace_names (name) VALUES ('carts')"))

    assert not await enter(gate, WEB, "carts")


@pytest.mark.parametrize("name", ["x" * 513, "é" * 257, "a\x00b", ""])
async def test_what_can_be_no_namespace_is_refused_at_the_door(gate: Gate, database: Database, name: str) -> None:
    for writing in (True, False):
        with pytest.raises(Refusal) as refused:
            await gate.enter(WEB, "timers", name, 0, writing=writing)
        assert refused.value.kind is Kind.INVALID
    assert await database.read(namespaces.listed, None, "", 10) == []


async def test_who_was_let_in_and_waited_is_looked_at_again(database: Database) -> None:
    token = Token(WEB.token, WEB.email, "brief", None, 0, 1_000, None)
    await database.write(store.put_token, token, "digest of it", "made")

    async def still_in(now: int, identity: Identity = WEB) -> Kind | None:
        try:
            await database.read(check_still_in, identity, "@web", now)
        except Refusal as refusal:
            return refusal.kind
        return None

    assert [await still_in(999), await still_in(1_000)] == [None, Kind.UNAUTHORIZED]
    assert await still_in(0, SHOP) is Kind.UNAUTHORIZED, "it has no token of its own"
    assert await still_in(0, ANONYMOUS) is None
    await database.write(lambda tx: tx.run("DELETE FROM team_members WHERE team = 'web'"))
    assert await still_in(999) is Kind.FORBIDDEN
