"""Users: who can be one, how their password changes, and that they go as a whole or not at all."""

import asyncio

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ADMINS_TOKEN, ANN, BOB, EVE, Meeting, People
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import keys, teams, users
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.model import ADMIN_EMAIL, digest

pytestmark = pytest.mark.anyio
KEY = keys.read_key("my-key", ANN)


@pytest.mark.parametrize(
    "email",
    ["nobody@globo.com", "a@b.cc", "ann.o'neil+x@sub.shop.example", ADMIN_EMAIL, "x" * 64 + "@b.cc"],
)
def test_addresses_that_are_taken(email: str) -> None:
    users.check_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "", "a", "@", "a@b", "a@b.c", "a@localhost", "a@B.CC", "a@b.cc ", " a@b.cc", "a b@c.dd", "a@b@c.dd", "a@b..cc",
        "a@b.cc\n", "a\r\nTo: x@y.zz", "a\x00@b.cc", "a,b@c.dd", "<a@b.cc>", "a;b@c.dd", '"a"@b.cc', "a(b)@c.dd",
        "a\ud800@b.cc", "a\u202e@b.cc", "x" * 250 + "@b.cc", "ä" * 125 + "@b.cc", "x" * 10_000 + "@b.cc",
        "a@" + "b." * 5_000 + "cc",
        "é@b.cc", "ｂｏｂ@b.cc", "x" * 65 + "@b.cc", "a@-.-.aa", "a@b-.cc", "a@" + "b" * 64 + ".cc", "admin@LOCALHOST",
    ],
)  # fmt: skip
def test_addresses_that_are_not(email: str) -> None:
    with pytest.raises(Refusal) as refused:
        users.check_email(email)
    assert (refused.value.kind, refused.value.message) == (Kind.INVALID, "Invalid email.")


async def test_a_user_is_there_once(people: People) -> None:
    await people.make(ANN)

    refusal = await people.refusal(users.create_user, ANN, "hash", NOW, EVE)

    assert (refusal.kind, refusal.message) == (Kind.CONFLICT, "This email is already registered.")
    with pytest.raises(Refusal):
        await people.database.read(users.require_unregistered, ANN)
    await people.database.read(users.require_unregistered, BOB)
    assert await people.events() == [(ADMIN_EMAIL, "create user", ANN)]


async def test_signing_up_twice_at_once_makes_one(crowd: People) -> None:
    both = await Meeting(crowd.database).both(
        lambda tx: users.create_user(tx, ANN, "one", NOW, ANN), lambda tx: users.create_user(tx, ANN, "other", NOW, ANN)
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].kind is Kind.CONFLICT
    assert await crowd.rows("SELECT password FROM users WHERE password IS NOT NULL") == [("one",)]


# Passwords


async def test_a_changed_password_ends_all_but_the_token_that_changed_it(people: People) -> None:
    await people.make(ANN, BOB, password="old")
    mine, _ = await people.signed_in(ANN)
    await people.signed_in(ANN)
    await people.signed_in(BOB)

    await people.database.write(users.change_password, ANN, "old", "new", mine.token, NOW)

    left = await people.rows("SELECT email, id FROM tokens WHERE kind = 'made' ORDER BY email")
    assert left[0] == (ANN, mine.token)
    assert [email for email, _ in left] == [ANN, BOB]
    assert await people.database.read(users.stored_password, ANN, NOW) == users.Stored("new")
    assert await people.database.read(users.stored_password, BOB, NOW) == users.Stored("old")


async def test_of_two_changes_at_once_one_counts(crowd: People) -> None:
    await crowd.make(ANN, password="old")

    both = await Meeting(crowd.database).both(
        lambda tx: users.change_password(tx, ANN, "old", "one", "", NOW),
        lambda tx: users.change_password(tx, ANN, "old", "other", "", NOW),
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].code == "password"
    assert await crowd.database.read(users.stored_password, ANN, NOW) == users.Stored("one")


async def test_a_password_that_was_set_ends_every_token_but_those_of_settings(people: People) -> None:
    await people.signed_in(ADMIN_EMAIL)

    await people.database.write(users.set_password, ADMIN_EMAIL, "new", None, NOW, ADMIN_EMAIL)

    assert await people.rows("SELECT digest FROM tokens") == [(digest(ADMINS_TOKEN),)]
    assert (await people.refusal(users.set_password, EVE, "new", None, NOW, ADMIN_EMAIL)).kind is Kind.NOT_FOUND


async def test_a_password_with_an_end_is_none_from_then_on(people: People) -> None:
    await people.make(ANN)
    await people.database.write(users.set_password, ANN, "mailed", NOW + 5, NOW, ANN)

    assert await people.database.read(users.stored_password, ANN, NOW + 4) == users.Stored("mailed")
    assert await people.database.read(users.stored_password, ANN, NOW + 5) == users.Stored(None)
    await people.database.write(users.change_password, ANN, "mailed", "own", "", NOW)
    assert await people.database.read(users.stored_password, ANN, NOW + 5) == users.Stored("own")
    assert await people.database.read(users.stored_password, EVE, NOW) is None


# Going


async def test_a_user_goes_with_all_that_is_the_users(people: People) -> None:
    await people.make(ANN, BOB)
    await people.team("shop", ANN, BOB)
    await people.signed_in(ANN)
    await people.database.write(keys.add_key, ANN, KEY, NOW)
    await people.database.write(
        lambda tx: [
            tx.run("INSERT INTO resets (digest, email, expires_at) VALUES ('d', :email, 0)", email=ANN),
            tx.run("INSERT INTO known_places (email, place, seen_at) VALUES (:email, 'x', 0)", email=ANN),
        ]
    )

    await people.database.write(users.remove_user, ANN, NOW, ANN)

    for table in ("users", "team_members", "user_keys", "tokens", "resets", "known_places"):
        assert ANN not in repr(await people.rows(f"SELECT * FROM {table}")), table
    assert await people.rows("SELECT email FROM team_members WHERE team = 'shop'") == [(BOB,)]
    assert (await people.events())[-1] == (ANN, "remove user", ANN)


async def test_the_last_member_of_any_team_stays_in_all(people: People) -> None:
    await people.make(ANN, BOB)
    await people.team("also", ANN, BOB)
    await people.team("shop", ANN)
    await people.signed_in(ANN)

    refusal = await people.refusal(users.remove_user, ANN, NOW, ANN)

    assert refusal.kind is Kind.FORBIDDEN
    assert refusal.message == (
        'This user is the last member of the team "shop", so it cannot be removed.\n\n'
        "Please remove the team, then remove the user."
    )


async def test_the_servers_own_admin_and_nobody_are_not_removed(people: People) -> None:
    assert (await people.refusal(users.remove_user, ADMIN_EMAIL, NOW, ADMIN_EMAIL)).code == "admin"
    assert (await people.refusal(users.remove_user, EVE, NOW, ADMIN_EMAIL)).kind is Kind.NOT_FOUND


async def test_whoever_is_removed_is_told_of_also_without_a_token(people: People) -> None:
    told: list[str] = []
    people.database.listen(TOKENS, told.extend)
    await people.make(ANN, BOB)
    ann, _ = await people.signed_in(ANN)

    for email in (ANN, BOB):
        await people.database.write(users.remove_user, email, NOW, email)

    assert told == [ann.token, ANN, BOB]


async def test_of_the_last_two_members_who_go_at_once_one_stays(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    await crowd.team("shop", ANN, BOB)

    both = await Meeting(crowd.database).both(
        lambda tx: users.remove_user(tx, ANN, NOW, ANN), lambda tx: users.remove_user(tx, BOB, NOW, BOB)
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].code == "last_member"
    assert await crowd.rows("SELECT email FROM team_members WHERE team = 'shop'") == [(BOB,)]


async def test_who_goes_while_being_taken_into_a_team_is_not_in_it(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    await crowd.team("shop", ANN)
    ann = await crowd.who(ANN)

    both = await Meeting(crowd.database).both(
        lambda tx: users.remove_user(tx, BOB, NOW, BOB), lambda tx: teams.add_member(tx, "shop", BOB, ann, NOW)
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].message == "User not found"
    assert await crowd.rows("SELECT email FROM team_members WHERE team = 'shop'") == [(ANN,)]


async def test_many_who_go_at_once_leave_one_in_each_team(crowd: People) -> None:
    crew = [f"u{number}@shop.example" for number in range(8)]
    await crowd.make(*crew)
    for team in ("a-team", "b-team"):
        await crowd.team(team, *crew)

    gone = await asyncio.gather(
        *(crowd.database.write(users.remove_user, email, NOW, email) for email in crew), return_exceptions=True
    )

    assert sum(one is None for one in gone) == len(crew) - 1
    left = await crowd.rows("SELECT team, email FROM team_members WHERE team <> 'admin' ORDER BY team")
    assert [team for team, _ in left] == ["a-team", "b-team"]


async def test_a_list_has_everybody_once(people: People) -> None:
    await people.make(ANN, BOB, EVE, password="hash")
    await people.team("shop", ANN, BOB)
    await people.database.write(keys.add_key, ANN, KEY, NOW)

    first = await people.database.read(users.list_users, "", 2)
    rest = await people.database.read(users.list_users, first[-1].email, 10)

    assert [user.email for user in [*first, *rest]] == sorted([ADMIN_EMAIL, ANN, BOB, EVE])
    by_email = {user.email: user for user in [*first, *rest]}
    assert by_email[ANN] == users.User(ANN, NOW, ("shop",), True, 1)
    assert by_email[ADMIN_EMAIL] == users.User(ADMIN_EMAIL, NOW, ("admin",), False, 0)
