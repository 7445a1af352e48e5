"""HTTP Basic: e-mail and password with each request, looked at once in a few seconds. (RFC 7617)

Hashing a password takes a core for a while, and tries are limited. So of requests with the same header that come at
once one is looked at, for all; and when something changes that concerns other users, what was found is compared with
what is stored, not hashed anew.
"""

import asyncio
import base64
import binascii
import hashlib
import secrets
from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import store, users
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.gate import MOST_REMEMBERED, REMEMBERED
from undercroft.machinery.identity.logins import Logins, Verified, enter
from undercroft.machinery.identity.model import Identity, NotIdentified, Unidentified


class _Seen(NamedTuple):
    identity: Identity
    hash: str
    at: int
    """When the password was hashed (ms)."""
    changes: int
    """How many changes there had been when this was read."""


class Basic:
    def __init__(self, database: Database, logins: Logins) -> None:
        self._database = database
        self._logins = logins
        self._known: dict[bytes, _Seen] = {}
        self._looking: dict[tuple[bytes, str | None, int], asyncio.Task[Identity]] = {}
        self._changes = 0
        # What is remembered of passwords tells nothing without this, which no other process ever has.
        self._key = secrets.token_bytes(32)
        database.listen(TOKENS, self._note_change)

    async def identify(self, authorization: str, address: str | None, now: int) -> Identity:
        """Of `Basic base64(EMAIL:PASSWORD)`. Raises NotIdentified, Refusal(TOO_MANY)."""
        key = hashlib.blake2b(authorization.encode("utf-8", "surrogatepass"), key=self._key).digest()
        seen = self._remembered(key, now)
        if seen is not None and seen.changes == self._changes:
            return seen.identity
        # Who comes after a change does not take part in a look from before it.
        place = (key, address, self._changes)
        looking = self._looking.get(place)
        if looking is None:
            looking = asyncio.ensure_future(self._look(key, authorization, address, now))
            self._looking[place] = looking
            looking.add_done_callback(lambda done: self._end_look(place, done))
        return await asyncio.shield(looking)  # one who goes away does not take the others along

    def _remembered(self, key: bytes, now: int) -> _Seen | None:
        seen = self._known.get(key)
        return seen if seen is not None and 0 <= now - seen.at < REMEMBERED else None

    def _end_look(self, place: tuple[bytes, str | None, int], done: "asyncio.Task[Identity]") -> None:
        del self._looking[place]
        if not done.cancelled():
            done.exception()  # all who wanted to hear of it may have gone

    async def _look(self, key: bytes, authorization: str, address: str | None, now: int) -> Identity:
        seen, changes = self._remembered(key, now), self._changes
        if seen is not None:
            identity = await self._database.read(_as_before, seen, now)
            if identity is not None:
                self._remember(key, seen._replace(identity=identity, changes=changes))
                return identity
        identity, hash = await self._look_at(*_read(authorization), address, now)
        self._remember(key, _Seen(identity, hash, now, changes))
        return identity

    def _remember(self, key: bytes, seen: _Seen) -> None:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = seen

    async def _look_at(self, email: str, password: str, address: str | None, now: int) -> tuple[Identity, str]:
        try:
            verified = await self._logins.verify(email, password, address, now)
            return await self._database.write_once(_enter, verified, now), verified.hash
        except Refusal as refusal:
            if refusal.kind in (Kind.UNAUTHORIZED, Kind.NOT_FOUND):
                raise wrong_login() from None
            raise

    def _note_change(self, _ids: list[str]) -> None:
        self._changes += 1


def is_basic(authorization: str) -> bool:
    return authorization[:6].lower() == "basic "


def wrong_login() -> NotIdentified:
    return NotIdentified(Unidentified.PASSWORD, "Invalid username/password.")


def _read(authorization: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(authorization[6:].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise wrong_login() from None
    email, colon, password = text.partition(":")
    if not colon or not email or "\x00" in email or len(text) > 1_000:
        raise wrong_login()
    return email, password


def _enter(tx: Transaction, verified: Verified, now: int) -> Identity:
    enter(tx, verified, now)
    return store.identity_of(tx, verified.email, f"basic {verified.email}")


def _as_before(tx: Transaction, seen: _Seen, now: int) -> Identity | None:
    """The user as it is now, if the password is still the one that was looked at."""
    email = seen.identity.email
    if users.stored_password(tx, email, now) != users.Stored(seen.hash):
        return None
    return store.identity_of(tx, email, seen.identity.token)
