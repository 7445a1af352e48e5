"""Signing in by password: right, wrong, too often, and while the password changes."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ANN, BOB, EVE, People
from undercroft.base.clock import DAY, HOUR, MINUTE, SECOND
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import actions, logins, passwords, store, tokens, turns, users
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.logins import PER_ACCOUNT, PER_KNOWN_PLACE, PER_PLACE, Logins, enter
from undercroft.machinery.identity.model import ADMIN_EMAIL, LOGIN
from undercroft.machinery.identity.passwords import Passwords
from undercroft.machinery.identity.upkeep import Forgetting

pytestmark = pytest.mark.anyio
RIGHT, WRONG = "a good one", "a bad one"
HOME, AWAY = "192.0.2.1", "203.0.113.9"
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class Door:
    def __init__(self, people: People) -> None:
        self.people = people
        self.database = people.database
        self.logins = Logins(people.database, QUICK)
        self.gate = Gate(people.database, lambda: NOW)

    async def enter(self, email: str = ANN, password: str = RIGHT, address: str = HOME, now: int = NOW) -> str:
        verified = await self.logins.verify(email, password, address, now)
        return await self.database.write(tokens.start_login, verified, 7 * DAY, 100, now)

    async def guess(self, email: str = ANN, address: str = AWAY, now: int = NOW) -> Refusal:
        with pytest.raises(Refusal) as refused:
            await self.enter(email, WRONG, address, now)
        return refused.value


@pytest.fixture
async def door(people: People) -> AsyncIterator[Door]:
    await people.make(ANN, BOB, password=await QUICK.hash(RIGHT))
    return Door(people)


async def test_the_right_password_gives_a_token_for_a_while(door: Door) -> None:
    secret = await door.enter()

    assert len(secret) == 40 and int(secret, 16)
    identity = await door.gate.identify(secret, NOW + 7 * DAY - 1)
    assert (identity.email, identity.scopes, identity.kind) == (ANN, None, LOGIN)
    with pytest.raises(Refusal):
        await door.gate.identify(secret, NOW + 7 * DAY)


async def test_a_wrong_one_or_nobodys_gives_none(door: Door) -> None:
    await door.people.make(EVE)
    for email, kind, message in (
        (ANN, Kind.UNAUTHORIZED, "Authentication failed, wrong password."),
        (EVE, Kind.UNAUTHORIZED, "Authentication failed, wrong password."),
        (ADMIN_EMAIL, Kind.UNAUTHORIZED, "Authentication failed, wrong password."),
        ("x@y.zz", Kind.NOT_FOUND, "User not found"),
    ):
        refusal = await door.guess(email)
        assert (refusal.kind, refusal.message) == (kind, message)
    assert await door.people.rows("SELECT * FROM tokens WHERE kind = 'login'") == []


async def test_of_too_many_the_oldest_end(door: Door) -> None:
    secrets = []
    for number in range(5):
        verified = await door.logins.verify(ANN, RIGHT, HOME, NOW + number)
        secrets.append(await door.database.write(tokens.start_login, verified, DAY, 3, NOW + number))
    others = await door.enter(BOB)

    for gone in secrets[:2]:
        with pytest.raises(Refusal):
            await door.gate.identify(gone, NOW)
    for good in (*secrets[2:], others):
        await door.gate.identify(good, NOW)


async def test_an_outdated_hash_is_made_anew(door: Door) -> None:
    strict = Logins(door.database, Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)))

    verified = await strict.verify(ANN, RIGHT, HOME, NOW)
    await door.database.write(enter, verified, NOW)

    [(stored,)] = await door.people.rows(f"SELECT password FROM users WHERE email = '{ANN}'")
    assert ",t=2," in stored
    await door.enter()


async def test_who_signs_in_while_the_password_changes_is_not_in(door: Door) -> None:
    verified = await door.logins.verify(ANN, RIGHT, HOME, NOW)
    await door.database.write(users.set_password, ANN, "another", None, NOW, ADMIN_EMAIL)

    refusal = await door.people.refusal(tokens.start_login, verified, DAY, 100, NOW)

    assert refusal.kind is Kind.UNAUTHORIZED


# Limits


async def test_one_account_is_guessed_at_so_often(door: Door) -> None:
    for number in range(PER_ACCOUNT.burst):
        assert (await door.guess(address=f"203.0.113.{number}")).kind is Kind.UNAUTHORIZED

    refusal = await door.guess(address="198.51.100.1")

    assert (refusal.kind, refusal.retry_after) == (Kind.TOO_MANY, PER_ACCOUNT.every // SECOND)
    with pytest.raises(Refusal) as even_so:
        await door.enter(address="198.51.100.1")
    assert even_so.value.kind is Kind.TOO_MANY, "nor is the right one looked at"
    assert await door.enter(BOB, address="198.51.100.1"), "another's account is another"
    assert await door.enter(address="198.51.100.1", now=NOW + PER_ACCOUNT.every), "later it is"


@pytest.mark.parametrize("email", ["nobody@shop.example", "".join(map(chr, range(0x20000, 0x203DE)))])
async def test_nobodys_account_is_guessed_at_as_often(door: Door, email: str) -> None:
    for number in range(PER_ACCOUNT.burst):
        assert (await door.guess(email, address=f"203.0.113.{number}")).kind is Kind.NOT_FOUND

    refusal = await door.guess(email, address="198.51.100.1")

    assert (refusal.kind, refusal.retry_after) == (Kind.TOO_MANY, PER_ACCOUNT.every // SECOND)
    await Forgetting(door.database).forget_old(NOW + DAY)
    assert await door.people.rows("SELECT * FROM tries") == []


async def test_a_place_that_is_limited_makes_no_more_rows(door: Door) -> None:
    for number in range(PER_PLACE.burst + 10):
        await door.guess(f"u{number}@shop.example")

    assert await door.people.rows("SELECT COUNT(*) FROM tries") == [(PER_PLACE.burst + 1,)]


async def test_one_place_guesses_so_often_whatever_the_account(door: Door) -> None:
    for number in range(PER_PLACE.burst):
        assert (await door.guess(f"u{number}@shop.example")).kind is Kind.NOT_FOUND

    assert (await door.guess(f"{number}@x.yz")).kind is Kind.TOO_MANY
    assert await door.enter(address=HOME)


async def test_guessing_from_elsewhere_shuts_nobody_out_at_home(door: Door) -> None:
    await door.enter(address=HOME)
    for hour in range(24):
        for number in range(PER_ACCOUNT.burst + 1):
            await door.guess(address=f"203.0.{number}.9", now=NOW + hour * HOUR)
        assert await door.enter(address=HOME, now=NOW + hour * HOUR)


async def test_a_flood_of_guesses_keeps_nobody_from_coming_in_at_home(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.enter(address=HOME)
    go_on = threading.Event()
    monkeypatch.setattr(turns, "MOST_WAITING", 4)
    monkeypatch.setattr(passwords, "THREADS", 1)
    really = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *args: go_on.wait(20) and really(*args))
    door.logins = Logins(door.database, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))

    crowd = [asyncio.create_task(door.enter(BOB, WRONG, f"203.0.113.{number}")) for number in range(9)]
    async with asyncio.timeout(20):
        while sum(task.done() for task in crowd) < 4:  # one is looked at, four wait
            await asyncio.wait([task for task in crowd if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    elsewhere, at_home = asyncio.create_task(door.enter(address=AWAY)), asyncio.create_task(door.enter(address=HOME))
    refused = (await asyncio.gather(elsewhere, return_exceptions=True))[0]
    go_on.set()
    await asyncio.gather(*crowd, return_exceptions=True)

    assert isinstance(refused, Refusal) and refused.kind is Kind.UNAVAILABLE
    assert await at_home


async def test_a_known_place_may_guess_no_more_either(door: Door) -> None:
    await door.enter(address=HOME)
    for _ in range(PER_KNOWN_PLACE.burst):
        assert (await door.guess(address=HOME)).kind is Kind.UNAUTHORIZED

    assert (await door.guess(address=HOME)).kind is Kind.TOO_MANY
    assert await door.enter(address=AWAY), "the account's own bucket is full"


async def test_a_place_is_known_for_a_month(door: Door) -> None:
    await door.enter(address=HOME)
    later = NOW + logins.PLACE_IS_KNOWN_FOR
    for number in range(PER_ACCOUNT.burst):
        await door.guess(address=f"203.0.113.{number}", now=later)

    with pytest.raises(Refusal) as refused:
        await door.enter(address=HOME, now=later)
    assert refused.value.kind is Kind.TOO_MANY
    assert await door.enter(address=HOME, now=later - 1)


async def test_what_went_well_is_no_guess(door: Door) -> None:
    for _ in range(PER_PLACE.burst + 5):
        await door.enter(address=AWAY)


async def test_many_guesses_at_once_are_no_way_around(crowd: People) -> None:
    await crowd.make(ANN, password=await QUICK.hash(RIGHT))
    one, other = Logins(crowd.database, QUICK), Logins(crowd.database, QUICK)

    answers = await asyncio.gather(
        *(door.verify(ANN, WRONG, f"203.0.113.{n}", NOW) for n in range(20) for door in (one, other)),
        return_exceptions=True,
    )

    kinds = [answer.kind for answer in answers if isinstance(answer, Refusal)]
    assert kinds.count(Kind.UNAUTHORIZED) == PER_ACCOUNT.burst
    assert kinds.count(Kind.TOO_MANY) == 40 - PER_ACCOUNT.burst


async def test_it_is_recorded_that_logins_were_limited_and_not_each_time(door: Door) -> None:
    for _ in range(PER_ACCOUNT.burst + 5):
        await door.guess()

    recorded = await door.people.rows("SELECT actor, subject, details FROM events WHERE action = 'limit logins'")
    assert recorded == [("anonymous", ANN, '{"limit":"account","place":"203.0.113.9"}')]


async def test_what_is_old_is_forgotten(door: Door) -> None:
    await door.enter(address=HOME)
    await door.guess(now=NOW)
    forgetting = Forgetting(door.database)

    assert await forgetting.forget_old(NOW + MINUTE) is False
    assert len(await door.people.rows("SELECT * FROM known_places")) == 1
    await forgetting.forget_old(NOW + 31 * DAY)

    for table in ("known_places", "tries"):
        assert await door.people.rows(f"SELECT * FROM {table}") == []


# Tokens of who is signed in


async def test_a_token_that_is_made_when_signed_in_outlives_the_login(door: Door) -> None:
    me = await door.gate.identify(await door.enter(), NOW)
    _, secret = await door.database.write(actions.create_token, me, "ci", None, None, NOW)

    await door.database.write(tokens.log_out, me, NOW)

    assert (await door.gate.identify(secret, NOW + 100 * DAY)).email == ANN
    with pytest.raises(Refusal):
        await door.database.write(actions.create_token, me, "late", None, None, NOW)
    assert await door.database.read(store.tokens_of, ANN)
