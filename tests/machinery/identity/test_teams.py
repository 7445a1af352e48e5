"""Teams: who may change one, and that each has a member as long as it is there."""

import asyncio

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ADMINS_TOKEN, ANN, BOB, EVE, Meeting, People
from undercroft.app import sharing
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Transaction
from undercroft.machinery.identity import namespaces, teams, users
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.model import ADMIN_EMAIL

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["ab", "Team 1", "a-@_.+Z9", "teamname", " shop ", "x" * 100])
def test_names_that_are_taken(name: str) -> None:
    assert teams.check_name(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    ["", " ", "a", "1a", "-a", "@team", "a/b", "a\nb", "a\tb", "ab\n", "ab\r", "tëam", "a\x00b", "a\ud800b", "x" * 101,
     "x" * 10_000],
)  # fmt: skip
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        teams.check_name(name)
    assert (refused.value.kind, refused.value.message) == (Kind.INVALID, "Invalid team name")


async def test_a_team_begins_with_its_maker(people: People) -> None:
    await people.make(ANN, BOB)
    await people.team("shop", ANN)

    assert await people.database.read(teams.require_members, "shop", await people.who(ANN)) == [ANN]
    assert (await people.refusal(teams.create_team, "shop", await people.who(BOB), NOW)).message == (
        "Team already exists"
    )
    assert (await people.refusal(teams.create_team, "admin", await people.who(BOB), NOW)).kind is Kind.CONFLICT
    assert (await people.events())[-1] == (ANN, "create team", "shop")


async def test_two_of_one_name_at_once_are_one(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    ann, bob = await crowd.who(ANN), await crowd.who(BOB)

    both = await Meeting(crowd.database).both(
        lambda tx: teams.create_team(tx, "shop", ann, NOW), lambda tx: teams.create_team(tx, "shop", bob, NOW)
    )

    assert both[0] is None and isinstance(both[1], Refusal)
    assert await crowd.rows("SELECT email FROM team_members WHERE team = 'shop'") == [(ANN,)]


async def test_one_user_makes_no_more_than_so_many(people: People) -> None:
    await people.make(ANN, BOB)
    ann, admin = await people.who(ANN), await people.who(ADMIN_EMAIL)
    for number in range(teams.MOST_TEAMS):
        await people.database.write(teams.create_team, f"team {number}", ann, NOW)

    refusal = await people.refusal(teams.create_team, "one more", ann, NOW)

    assert (refusal.kind, refusal.code) == (Kind.FORBIDDEN, "most_teams")
    assert refusal.message == "You have made 100 teams, and no one makes more. Please remove one first."
    await people.team("of another", BOB, ANN)
    await people.database.write(teams.remove_team, "team 0", ann, (), NOW)
    await people.database.write(teams.create_team, "one more", ann, NOW)
    for number in range(teams.MOST_TEAMS + 1):
        await people.database.write(teams.create_team, f"admins {number}", admin, NOW)


async def test_who_was_removed_makes_no_team(people: People) -> None:
    await people.make(ANN)
    ann = await people.who(ANN)
    await people.database.write(users.remove_user, ANN, NOW, ANN)

    assert (await people.refusal(teams.create_team, "shop", ann, NOW)).kind is Kind.UNAUTHORIZED


async def test_only_members_and_admins_see_and_change_a_team(people: People) -> None:
    await people.make(ANN, BOB, EVE)
    await people.team("shop", ANN, BOB)
    eve = await people.who(EVE)
    seen = await people.refusal(teams.require_members, "shop", eve)
    added = await people.refusal(teams.add_member, "shop", EVE, eve, NOW)
    taken = await people.refusal(teams.remove_member, "shop", ANN, eve, NOW)
    removed = await people.refusal(teams.remove_team, "shop", eve, (), NOW)

    assert (seen.kind, seen.message) == (Kind.FORBIDDEN, "User is not member of this team")
    assert added.message == "You are not authorized to add new users to the team shop"
    assert taken.message == "You are not authorized to remove a member from the team shop"
    assert (removed.kind, removed.message) == (Kind.NOT_FOUND, 'Team "shop" not found.')
    admin = await people.who(ADMIN_EMAIL)
    await people.database.write(teams.add_member, "shop", EVE, admin, NOW)
    await people.database.write(teams.remove_member, "shop", BOB, admin, NOW)
    assert await people.database.read(teams.require_members, "shop", admin) == [ANN, EVE]
    await people.database.write(teams.remove_team, "shop", admin, (), NOW)


async def test_a_scoped_token_of_an_admin_is_no_admins(people: People) -> None:
    await people.make(ANN)
    await people.team("shop", ANN)
    scoped = (await people.who(ADMIN_EMAIL))._replace(scopes=("accounts",))

    assert (await people.refusal(teams.remove_team, "shop", scoped, (), NOW)).kind is Kind.NOT_FOUND


async def test_a_scoped_token_of_an_admin_leaves_the_admins_as_they_are(people: People) -> None:
    await people.make(ANN, BOB)
    admin = await people.who(ADMIN_EMAIL)
    await people.database.write(teams.add_member, "admin", BOB, admin, NOW)
    scoped = admin._replace(scopes=("accounts",))

    added = await people.refusal(teams.add_member, "admin", ANN, scoped, NOW)
    taken = await people.refusal(teams.remove_member, "admin", BOB, scoped, NOW)

    assert (added.kind, added.code) == (Kind.FORBIDDEN, "may_not_add")
    assert (taken.kind, taken.code) == (Kind.FORBIDDEN, "may_not_remove")


@pytest.mark.parametrize("name", ["Shop", "SHOP", "Admin", "aDMIN"])
async def test_a_name_that_differs_by_case_alone_is_taken(people: People, name: str) -> None:
    await people.make(ANN, EVE)
    await people.team("shop", ANN)

    refusal = await people.refusal(teams.create_team, name, await people.who(EVE), NOW)

    assert (refusal.kind, refusal.message) == (Kind.CONFLICT, "Team already exists")


async def test_two_at_once_that_differ_by_case_are_one(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    ann, bob = await crowd.who(ANN), await crowd.who(BOB)

    both = await Meeting(crowd.database).both(
        lambda tx: teams.create_team(tx, "shop", ann, NOW), lambda tx: teams.create_team(tx, "Shop", bob, NOW)
    )

    assert both[0] is None and isinstance(both[1], Refusal)


async def test_members_come_and_go(people: People) -> None:
    await people.make(ANN, BOB)
    await people.team("shop", ANN)
    ann = await people.who(ANN)

    await people.database.write(teams.add_member, "shop", BOB, ann, NOW)
    again = await people.refusal(teams.add_member, "shop", BOB, ann, NOW)
    unknown = await people.refusal(teams.add_member, "shop", EVE, ann, NOW)
    nowhere = await people.refusal(teams.add_member, "web", BOB, ann, NOW)
    strange = await people.refusal(teams.remove_member, "shop", EVE, ann, NOW)
    gone = await people.refusal(teams.remove_member, "web", BOB, ann, NOW)
    await people.database.write(teams.remove_member, "shop", BOB, ann, NOW)
    last = await people.refusal(teams.remove_member, "shop", ANN, ann, NOW)

    assert (again.kind, again.message) == (Kind.CONFLICT, f"User {BOB} is already in the team shop.")
    assert (unknown.kind, unknown.message) == (Kind.NOT_FOUND, "User not found")
    assert (strange.kind, strange.message) == (Kind.NOT_FOUND, "User not found")
    for refusal in (nowhere, gone):
        assert (refusal.kind, refusal.message) == (Kind.NOT_FOUND, "Team not found")
    assert (last.kind, last.message) == (
        Kind.FORBIDDEN,
        "You can not remove this user from this team, because it is the last user within the team, "
        "and a team can not be orphaned",
    )
    assert [event[1:] for event in await people.events()][-2:] == [("add member", "shop"), ("remove member", "shop")]


async def test_who_is_in_no_such_team_is_told_so(people: People) -> None:
    await people.make(ANN, BOB, EVE)
    await people.team("shop", ANN, BOB)

    refusal = await people.refusal(teams.remove_member, "shop", EVE, await people.who(ANN), NOW)

    assert (refusal.kind, refusal.message) == (Kind.NOT_FOUND, f"User {EVE} is not in the team shop.")


async def test_of_the_last_two_members_one_stays(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    await crowd.team("shop", ANN, BOB)
    ann, bob = await crowd.who(ANN), await crowd.who(BOB)

    both = await Meeting(crowd.database).both(
        lambda tx: teams.remove_member(tx, "shop", BOB, ann, NOW),
        lambda tx: teams.remove_member(tx, "shop", ANN, bob, NOW),
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal), "bob is a member no more"
    assert await crowd.rows("SELECT email FROM team_members WHERE team = 'shop'") == [(ANN,)]


async def test_many_members_who_leave_at_once_leave_one(crowd: People) -> None:
    crew = [f"u{number}@shop.example" for number in range(8)]
    await crowd.make(*crew)
    await crowd.team("shop", *crew)
    callers = [await crowd.who(email) for email in crew]

    gone = await asyncio.gather(
        *(crowd.database.write(teams.remove_member, "shop", caller.email, caller, NOW) for caller in callers),
        return_exceptions=True,
    )

    assert sum(one is None for one in gone) == len(crew) - 1
    assert len(await crowd.rows("SELECT email FROM team_members WHERE team = 'shop'")) == 1


async def test_a_team_that_goes_while_somebody_comes_is_gone(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    await crowd.team("shop", ANN)
    ann = await crowd.who(ANN)

    both = await Meeting(crowd.database).both(
        lambda tx: teams.remove_team(tx, "shop", ann, (), NOW), lambda tx: teams.add_member(tx, "shop", BOB, ann, NOW)
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].message == "Team not found"
    assert await crowd.rows("SELECT * FROM team_members WHERE team = 'shop'") == []


async def test_a_team_that_holds_something_stays(people: People) -> None:
    await people.make(ANN, EVE)
    await people.team("shop", ANN)
    held = Refusal(Kind.FORBIDDEN, "team_held", "This team cannot be removed because it have access to apps.")

    def holds(_tx: Transaction, team: str) -> Refusal | None:
        return held if team == "shop" else None

    for caller in (ANN, EVE):  # asked before it is asked who calls
        assert await people.refusal(teams.remove_team, "shop", await people.who(caller), (holds,), NOW) is held
    assert (await people.refusal(teams.remove_team, "admin", await people.who(ADMIN_EMAIL), (), NOW)).code == "admin"


async def test_a_later_team_of_that_name_finds_nothing(people: People) -> None:
    await people.make(ANN, EVE)
    await people.team("shop", ANN)
    ann = await people.who(ANN)
    await people.database.write(namespaces.claim, "carts", ann, NOW, "mark")

    await people.database.write(teams.remove_team, "shop", ann, (), NOW)
    eve = await people.who(EVE)
    refusal = await people.refusal(teams.create_team, "shop", eve, NOW)

    assert (refusal.kind, refusal.code) == (Kind.CONFLICT, "namespace_held")
    assert "take another name" in refusal.message and "PUT /undercroft/namespaces/@shop/shop" in refusal.message
    for namespace in ("@shop", "carts"):
        assert not await people.database.read(namespaces.may_enter, eve, namespace)
        assert await people.database.read(namespaces.owners, namespace) == ("admin",)


async def test_a_later_team_gets_the_namespace_of_its_name_where_an_admin_hands_it_over(people: People) -> None:
    await people.make(ANN, EVE)
    await people.team("shop", ANN)
    await people.database.write(teams.remove_team, "shop", await people.who(ANN), (), NOW)

    await people.database.write(sharing._share, await people.who(ADMIN_EMAIL), "@shop", "shop", NOW)
    await people.team("shop", EVE)

    assert await people.database.read(namespaces.may_enter, await people.who(EVE), "@shop")


async def test_a_member_who_is_taken_out_is_out_at_once(people: People) -> None:
    await people.make(ANN, BOB)
    await people.team("shop", ANN, BOB)
    gate = Gate(people.database, lambda: NOW)
    _, secret = await people.signed_in(BOB)
    assert (await gate.identify(secret, NOW)).teams == ("shop",)

    await people.database.write(teams.remove_member, "shop", BOB, await people.who(ANN), NOW)
    assert (await gate.identify(secret, NOW)).teams == ()
    await people.database.write(teams.add_member, "admin", BOB, await gate.identify(ADMINS_TOKEN, NOW), NOW)
    assert (await gate.identify(secret, NOW)).is_admin()
    await people.database.write(teams.create_team, "web", await people.who(BOB), NOW)
    assert (await gate.identify(secret, NOW)).teams == ("admin", "web")
