"""A password with each request: HTTP Basic."""

import asyncio
import base64

import pytest
from argon2 import PasswordHasher

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ANN, BOB, EVE, People
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import users
from undercroft.machinery.identity.basic import Basic, is_basic
from undercroft.machinery.identity.gate import REMEMBERED
from undercroft.machinery.identity.limits import HERE
from undercroft.machinery.identity.logins import PER_ACCOUNT, Logins
from undercroft.machinery.identity.model import ADMIN_EMAIL, NotIdentified, Unidentified
from undercroft.machinery.identity.passwords import Passwords

pytestmark = pytest.mark.anyio


RIGHT = "a good: one"


def header(email: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()


class Counting(Passwords):
    """As others, and it tells what was looked at."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self._seen = seen

    async def verify(self, stored: str | None, password: str, place: str = HERE, *, known: bool = False) -> bool:
        self._seen.append(password)
        return await super().verify(stored, password, place, known=known)


class Desk:
    def __init__(self, people: People) -> None:
        self.seen: list[str] = []
        self.hashing = Counting(self.seen)
        self.basic = Basic(people.database, Logins(people.database, self.hashing))


async def test_a_password_with_each_request(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, BOB, password=await desk.hashing.hash(RIGHT))
    await people.team("shop", ANN)

    identity = await desk.basic.identify(header(ANN, RIGHT), "192.0.2.1", NOW)

    assert (identity.email, identity.teams, identity.scopes) == (ANN, ("shop",), None)
    for wrong in (
        header(ANN, "a bad one"),
        header(EVE, RIGHT),
        header("", RIGHT),
        header("a\x00b", RIGHT),
        header(ANN, "x" * 2_000),
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic \udce4",
    ):
        with pytest.raises(NotIdentified) as refused:
            await desk.basic.identify(wrong, "192.0.2.1", NOW)
        assert refused.value.why is Unidentified.PASSWORD


async def test_it_is_looked_at_once_in_a_while_and_again_once_it_is_another(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, password=await desk.hashing.hash(RIGHT))
    for now in (NOW, NOW + REMEMBERED - 1, NOW + REMEMBERED):
        await desk.basic.identify(header(ANN, RIGHT), None, now)
    assert desk.seen == [RIGHT] * 2
    await people.database.write(users.set_password, ANN, await desk.hashing.hash("another"), None, NOW, ADMIN_EMAIL)
    with pytest.raises(NotIdentified):
        await desk.basic.identify(header(ANN, RIGHT), None, NOW + REMEMBERED)


async def test_many_requests_at_once_are_one_try(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, password=await desk.hashing.hash(RIGHT))
    for moment in (NOW, NOW + REMEMBERED):
        desk.seen.clear()
        several = (desk.basic.identify(header(ANN, RIGHT), "192.0.2.1", moment) for _ in range(40))

        found = await asyncio.gather(*several)

        assert [identity.email for identity in found] == [ANN] * 40
        assert desk.seen == [RIGHT]

    wrong = (desk.basic.identify(header(ANN, "a guess"), "192.0.2.9", NOW) for _ in range(40))
    refused = await asyncio.gather(*wrong, return_exceptions=True)
    assert {type(one) for one in refused} == {NotIdentified}
    before = await people.rows(f"SELECT free_at FROM tries WHERE key = 'account {ANN}'")
    assert before == [(NOW + PER_ACCOUNT.every,)], "one try was counted"


async def test_the_first_of_many_goes_away_and_the_others_get_in(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, password=await desk.hashing.hash(RIGHT))
    first, *others = [asyncio.create_task(desk.basic.identify(header(ANN, RIGHT), None, NOW)) for _ in range(3)]
    await asyncio.sleep(0)

    first.cancel()

    assert [identity.email for identity in await asyncio.gather(*others)] == [ANN] * 2
    assert first.cancelled() and desk.seen == [RIGHT]


async def test_what_changes_for_others_hashes_nothing_anew(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, BOB, password=await desk.hashing.hash(RIGHT))
    await desk.basic.identify(header(ANN, RIGHT), None, NOW)

    await people.database.write(users.set_password, BOB, "hash", None, NOW, ADMIN_EMAIL)
    await people.team("shop", ANN)

    identity = await desk.basic.identify(header(ANN, RIGHT), None, NOW + REMEMBERED - 1)
    assert (identity.email, identity.teams, desk.seen) == (ANN, ("shop",), [RIGHT])
    await desk.basic.identify(header(ANN, RIGHT), None, NOW + REMEMBERED)
    assert desk.seen == [RIGHT] * 2, "what is read again is remembered for no longer"


async def test_who_was_removed_is_out_at_once(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, password=await desk.hashing.hash(RIGHT))
    await desk.basic.identify(header(ANN, RIGHT), None, NOW)

    await people.database.write(users.remove_user, ANN, NOW, ADMIN_EMAIL)

    with pytest.raises(NotIdentified):
        await desk.basic.identify(header(ANN, RIGHT), None, NOW)


async def test_guesses_are_limited_there_too(people: People) -> None:
    desk = Desk(people)
    await people.make(ANN, password=await desk.hashing.hash(RIGHT))
    for number in range(PER_ACCOUNT.burst):
        with pytest.raises(NotIdentified):
            await desk.basic.identify(header(ANN, f"guess {number}"), "192.0.2.1", NOW)

    with pytest.raises(Refusal) as refused:
        await desk.basic.identify(header(ANN, RIGHT), "192.0.2.1", NOW)
    assert refused.value.kind is Kind.TOO_MANY


@pytest.mark.parametrize(
    ("text", "basic"), [("Basic x", True), ("basic x", True), ("Basics x", False), ("Token x", False)]
)
def test_which_headers_are_basic(text: str, basic: bool) -> None:
    assert is_basic(text) == basic
