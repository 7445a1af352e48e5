"""Passwords: their rules, and argon2 in threads of its own, so that it holds up neither requests nor transactions."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from undercroft.base.refusals import invalid
from undercroft.machinery.identity.limits import HERE
from undercroft.machinery.identity.turns import Turns

T = TypeVar("T")

SHORTEST = 6
LONGEST = 50
"""Bytes of a password. (contracts: apps §2.6)"""

# OWASP's first recommendation for Argon2id: 46 MiB, one pass, one lane; about 50 ms. A hash of other parameters is made
# anew when its password is next given.
PARAMETERS = PasswordHasher(time_cost=1, memory_cost=46 * 1_024, parallelism=1)
# Each takes one core and 46 MiB, so that a storm of logins leaves the rest of the server alone.
THREADS = 2
_LETTERS = "23456789abcdefghijkmnpqrstuvwxyz"  # nothing to misread: people type it from a mail


def check_password(password: str) -> None:
    """Raises Refusal(INVALID, "password_length")."""
    if len(password) > LONGEST or not SHORTEST <= len(password.encode("utf-8", "surrogatepass")) <= LONGEST:
        raise invalid(
            "password_length",
            f"Password length should be least {SHORTEST} characters and at most {LONGEST} characters.",
        )


def random_password() -> str:
    """16 letters and digits, 80 random bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


class Passwords:
    """`place`: whom it is done for, as `place_of` has it; places take turns. `known`: it is a place of that user's, or
    who asks has shown already who it is; a crowd of strangers does not hold that up.

    Raises Refusal(UNAVAILABLE) when more wait than can be served soon.
    """

    def __init__(self, hasher: PasswordHasher = PARAMETERS) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._turns = Turns(THREADS)

    async def hash(self, password: str, place: str = HERE, *, known: bool = False) -> str:
        return await self._in_thread(place, known, lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str, place: str = HERE, *, known: bool = False) -> bool:
        """False also where nothing is stored, after the same work: how long it takes tells nothing of the account."""
        return await self._in_thread(place, known, lambda: self._verify(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(stored)

    async def _in_thread(self, place: str, known: bool, work: Callable[[], T]) -> T:
        await self._turns.wait(place, known=known)
        loop = asyncio.get_running_loop()
        working = self._threads.submit(work)
        # The turn ends with the work, not with who waits for it: else who hangs up again and again would pile it up.
        working.add_done_callback(lambda _: self._end_turn(loop))
        return await asyncio.wrap_future(working)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server ends
            loop.call_soon_threadsafe(self._turns.end)

    def _verify(self, stored: str | None, password: str) -> bool:
        nobodys = self._nobodys
        try:
            self._hasher.verify(nobodys if stored is None else stored, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_bytes(20))


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
