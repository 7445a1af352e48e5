"""HTTP Basic: e-mail and password with each request, looked at once in a few seconds. (RFC 7617)"""

import base64
import binascii
import hashlib
import secrets

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import store
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.gate import MOST_REMEMBERED, REMEMBERED
from undercroft.machinery.identity.logins import Logins, Verified, enter
from undercroft.machinery.identity.model import Identity, NotIdentified, Unidentified


class Basic:
    def __init__(self, database: Database, logins: Logins) -> None:
        self._database = database
        self._logins = logins
        self._known: dict[bytes, tuple[Identity, int]] = {}
        self._changes = 0
        # What is remembered of passwords tells nothing without this, which no other process ever has.
        self._key = secrets.token_bytes(32)
        database.listen(TOKENS, self._forget)

    async def identify(self, authorization: str, address: str | None, now: int) -> Identity:
        """Of `Basic base64(EMAIL:PASSWORD)`. Raises NotIdentified, Refusal(TOO_MANY)."""
        key = hashlib.blake2b(authorization.encode("utf-8", "surrogatepass"), key=self._key).digest()
        found = self._known.get(key)
        if found is not None and 0 <= now - found[1] < REMEMBERED:
            return found[0]
        changes = self._changes
        identity = await self._look_at(*_read(authorization), address, now)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if changes == self._changes:
            self._known[key] = (identity, now)
        return identity

    async def _look_at(self, email: str, password: str, address: str | None, now: int) -> Identity:
        try:
            verified = await self._logins.verify(email, password, address, now)
            return await self._database.write(_enter, verified, now)
        except Refusal as refusal:
            if refusal.kind in (Kind.UNAUTHORIZED, Kind.NOT_FOUND):
                raise wrong_login() from None
            raise

    def _forget(self, _ids: list[str]) -> None:
        self._changes += 1
        self._known.clear()


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
