"""Ids and secrets that we make."""

import secrets
import threading
import time

from undercroft.base.clock import SECOND

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing to misread


def base32(number: int) -> str:
    """A whole number >= 0 in lower-case base 32."""
    digits = ""
    while True:
        number, rest = divmod(number, 32)
        digits = _ALPHABET[rest] + digits
        if not number:
            return digits


class _Rising:
    """Numbers made of the moment and of chance, each larger than the one before: many are made in one millisecond, and
    the newest of a user's tokens is not to be taken for an older one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
            # A clock that was set back by more is not waited for.
            if number <= self._last < number + (SECOND << 80):
                number = self._last + 1 + secrets.randbits(40)
            self._last = number
            return number


_rising = _Rising()


def sortable_id() -> str:
    """A new id of 26 letters that sorts by the moment it was made, and after all that this process made before:
    neighbours in time are neighbours on disk."""
    return base32(1 << 129 | _rising.next())


def earliest_id(moment: int) -> str:
    """The one before all that are made from this moment on (milliseconds since 1970)."""
    return base32(1 << 129 | max(0, moment) << 80)


def moment_of(id: str) -> int | None:
    """When a `sortable_id` was made, in milliseconds since 1970; None for what is none."""
    if len(id) != len(earliest_id(0)) or not set(id) <= set(_ALPHABET):
        return None
    number = 0
    for letter in id:
        number = number * 32 + _ALPHABET.index(letter)
    return number >> 80 & (1 << 49) - 1 if number >> 129 == 1 else None


def new_secret() -> str:
    """160 random bits, safe in URLs and headers."""
    return secrets.token_urlsafe(20)


def new_hex_secret() -> str:
    """160 random bits as 40 digits, for clients who know tokens in that form."""
    return secrets.token_hex(20)
