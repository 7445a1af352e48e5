"""Passwords: their lengths, their hashes, and that checking one holds nothing up."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import passwords
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


async def test_the_loop_goes_on_and_too_many_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: str(go_on.wait(20)))
    hashing = Passwords(QUICK)

    waiting = [asyncio.create_task(hashing.hash("a good one")) for _ in range(passwords.MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await hashing.hash("a good one")
    go_on.set()

    assert refused.value.kind is Kind.UNAVAILABLE
    assert await asyncio.gather(*waiting) == ["True"] * passwords.MOST_WAITING
    assert await hashing.hash("a good one") == "True"


def test_a_password_that_is_made_can_be_typed() -> None:
    made = {random_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        check_password(password)
        assert password.isalnum() and password.isascii() and password == password.lower()
        assert not set(password) & set("01lo")
