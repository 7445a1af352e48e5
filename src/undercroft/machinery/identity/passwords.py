"""Passwords: their rules, and argon2 in threads of its own, so that it holds up neither requests nor transactions."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from undercroft.base.refusals import invalid, unavailable

T = TypeVar("T")

SHORTEST = 6
LONGEST = 50
"""Bytes of a password. (contracts: apps §2.6)"""

# OWASP's first recommendation for Argon2id: 46 MiB, one pass, one lane; about 50 ms. A hash of other parameters is made
# anew when its password is next given.
PARAMETERS = PasswordHasher(time_cost=1, memory_cost=46 * 1_024, parallelism=1)
# Each takes one core and 46 MiB, so that a storm of logins leaves the rest of the server alone.
THREADS = 2
MOST_WAITING = 64
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
    """Raises Refusal(UNAVAILABLE) when more wait than can be served soon."""

    def __init__(self, hasher: PasswordHasher = PARAMETERS) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """False also where nothing is stored, after the same work: how long it takes tells nothing of the account."""
        return await self._in_thread(lambda: self._verify(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(stored)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise unavailable("too many passwords are being checked at this moment; try again in a few seconds")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

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
