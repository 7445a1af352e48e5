"""Passwords: their lengths, their hashes, and that checking one holds nothing up."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import passwords, turns
from undercroft.machinery.identity.passwords import Passwords, check_password, random_password

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("password", ["123456", "x" * 50, "ä" * 25, "\x00" * 6, "a b c d"])
def test_lengths_that_are_taken(password: str) -> None:
    check_password(password)


@pytest.mark.parametrize("password", ["", "12345", "x" * 51, "ä" * 26, "x" * 1_000_000])
def test_lengths_that_are_not(password: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_password(password)
    assert refused.value.message == "Password length should be least 6 characters and at most 50 characters."


async def test_a_hash_is_argon2id_and_each_is_another() -> None:
    hashing = Passwords()

    one, other = await hashing.hash("a good one"), await hashing.hash("a good one")

    assert one.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert one != other
    assert await hashing.verify(one, "a good one")


async def test_only_the_right_password_is_right() -> None:
    hashing = Passwords(QUICK)
    stored = await hashing.hash("päss\x00wörd")

    assert await hashing.verify(stored, "päss\x00wörd")
    for wrong in ("", "päss", "päss\x00wörd ", "PÄSS\x00WÖRD", "\ud800"):
        assert not await hashing.verify(stored, wrong)
    for nothing in (None, "", "no hash", "$argon2id$broken"):
        assert not await hashing.verify(nothing, "päss\x00wörd")


async def test_where_nothing_is_stored_as_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    hashing = Passwords(QUICK)
    really = PasswordHasher.verify

    def verify(self: PasswordHasher, stored: str, password: bytes) -> bool:
        looked_at.append(stored)
        return bool(really(self, stored, password))

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert not await hashing.verify(None, "a good one")
    assert len(looked_at) == 1 and looked_at[0].startswith("$argon2id$")


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    old = await Passwords(QUICK).hash("a good one")

    assert Passwords().is_outdated(old)
    assert not Passwords(QUICK).is_outdated(old)
    assert await Passwords().verify(old, "a good one")


class Slow:
    """Hashing that goes on one by one, and who was served in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = threading.Semaphore(0)
        self.served: list[str] = []
        monkeypatch.setattr(passwords, "THREADS", 1)
        monkeypatch.setattr(PasswordHasher, "hash", self._hash)
        self.hashing = Passwords(QUICK)

    def _hash(self, password: bytes) -> str:
        assert self.steps.acquire(timeout=20)
        self.served.append(password.decode())
        return "hash"

    def ask(self, who: str, *, known: bool = False) -> asyncio.Task[str]:
        return asyncio.create_task(self.hashing.hash(who, who[0], known=known))

    async def all(self, *tasks: asyncio.Task[str]) -> list[str | BaseException]:
        self.steps.release(1_000)
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_places_take_turns(slow: Slow) -> None:
    asked = [slow.ask(who) for who in ("a0", "a1", "a2", "a3", "b1", "b2", "c1")]

    await slow.all(*asked)

    assert slow.served == ["a0", "a1", "b1", "c1", "a2", "b2", "a3"]


async def test_one_place_shuts_out_itself_alone(slow: Slow) -> None:
    crowd = [slow.ask(f"a{n}") for n in range(1 + turns.MOST_PER_PLACE)]
    await settle()
    late, other = slow.ask("a late"), slow.ask("b")

    answers = await slow.all(*crowd, late, other)

    assert isinstance(answers[-2], Refusal) and answers[-2].kind is Kind.UNAVAILABLE
    assert [*answers[:-2], answers[-1]] == ["hash"] * (len(crowd) + 1)
    assert slow.served.index("b") == 2


async def test_where_all_is_full_the_last_of_the_longest_line_goes(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 4)
    asked = [slow.ask(who) for who in ("a0", "a1", "a2", "b1", "b2", "c1", "d1", "e1")]

    answers = await slow.all(*asked)

    refused = [who for who, answer in zip(("a0", "a1", "a2", "b1", "b2", "c1", "d1", "e1"), answers, strict=True)
               if isinstance(answer, Refusal)]  # fmt: skip
    assert refused == ["a2", "b2", "e1"]


async def test_strangers_from_however_many_places_hold_up_nobody_who_is_known(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 4)
    crowd = [slow.ask(who) for who in ("a0", "a1", "b1", "c1", "d1", "e1", "f1")]
    await settle()
    known = [slow.ask(who, known=True) for who in ("v1", "v2", "w1", "x1", "y1")]

    answers = await slow.all(*crowd, *known)

    assert slow.served == ["a0", "v1", "a1", "w1", "b1", "x1", "c1", "y1", "d1"]
    assert sum(isinstance(answer, Refusal) for answer in answers) == 3, "e1 and f1, and v2 for y1"


async def test_who_hangs_up_gives_the_turn_on_when_the_work_is_done(slow: Slow) -> None:
    working, waiting, other = slow.ask("a1"), slow.ask("a2"), slow.ask("b1")
    await settle()
    working.cancel()
    waiting.cancel()
    await settle()
    assert not other.done() and slow.served == []

    assert (await slow.all(other))[0] == "hash"
    assert slow.served == ["a1", "b1"]
    assert await slow.ask("c1") == "hash"


async def test_who_hangs_up_as_the_turn_comes_gives_it_on() -> None:
    line = turns.Turns(1)
    await line.wait("a")
    leaving = asyncio.create_task(line.wait("b"))
    await settle()

    line.end()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    async with asyncio.timeout(20):
        await line.wait("c")


def test_a_password_that_is_made_can_be_typed() -> None:
    made = {random_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        check_password(password)
        assert password.isalnum() and password.isascii() and password == password.lower()
        assert not set(password) & set("01lo")
