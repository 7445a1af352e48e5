"""From an e-mail and a password to a user, with the tries limited: per account, and per place that they come from.

Every try is counted before the password is looked at, so that many at once are no way around; one that goes well is
given back. Who guesses from elsewhere shuts no one out for good: a place from which the user has come in during the
last month has a bucket of its own, which nobody elsewhere can empty, and a line of its own where passwords are looked
at; and a new password clears the account's.
"""

from typing import NamedTuple

from undercroft.base.clock import DAY, MINUTE, SECOND
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import users
from undercroft.machinery.identity.limits import Limit, Taken, Try, give_back, place_of, take_tries, too_many
from undercroft.machinery.identity.passwords import Passwords
from undercroft.machinery.identity.records import NOBODY, record
from undercroft.machinery.identity.users import LONGEST_EMAIL

PER_PLACE = Limit(30, 20 * SECOND)
PER_ACCOUNT = Limit(10, 2 * MINUTE)
# Of one account, from a place that it is known at.
PER_KNOWN_PLACE = Limit(10, 30 * SECOND)
PLACE_IS_KNOWN_FOR = 30 * DAY


class Verified(NamedTuple):
    """The password was right. `enter` writes down that it was, in the transaction that acts upon it."""

    email: str
    hash: str
    place: str
    tries: tuple[Try, ...]


class _Begun(NamedTuple):
    stored: users.Stored | None
    place: str
    known: bool
    tries: tuple[Try, ...]
    taken: Taken


class Logins:
    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def verify(self, email: str, password: str, address: str | None, now: int) -> Verified:
        """Raises Refusal: TOO_MANY, NOT_FOUND "user", UNAUTHORIZED "password"."""
        begun = await self._database.write_once(_begin, email, place_of(address), now)
        if begun.taken.wait:
            raise too_many("login attempts", begun.taken.wait)
        stored = begun.stored.hash if begun.stored else None
        good = await self._passwords.verify(stored, password, begun.place, known=begun.known)
        if begun.stored is None:
            raise users.no_such_user()
        if not good or stored is None:
            raise wrong_password()
        if self._passwords.is_outdated(stored):
            stored = await self._renew(email, stored, password, begun.place)
        return Verified(email, stored, begun.place, begun.tries)

    async def _renew(self, email: str, before: str, password: str, place: str) -> str:
        after = await self._passwords.hash(password, place, known=True)
        await self._database.write(users.renew_hash, email, before, after)
        return after


def enter(tx: Transaction, verified: Verified, now: int) -> None:
    """The tries don't count, and the place is known.

    Raises Refusal(UNAUTHORIZED, "password") when the password was changed since it was looked at.
    """
    row = tx.one(
        "UPDATE users SET email = email WHERE email = :email AND password = :hash RETURNING 1",
        email=verified.email,
        hash=verified.hash,
    )
    if row is None:
        raise wrong_password()
    give_back(tx, verified.tries)
    tx.run(
        "INSERT INTO known_places (email, place, seen_at) VALUES (:email, :place, :now)"
        " ON CONFLICT (email, place) DO UPDATE SET seen_at = excluded.seen_at",
        email=verified.email,
        place=verified.place,
        now=now,
    )


def forget_old_places(tx: Transaction, now: int, limit: int) -> int:
    return tx.run(
        "DELETE FROM known_places WHERE (email, place) IN"
        " (SELECT email, place FROM known_places WHERE seen_at < :before LIMIT :limit)",
        before=now - PLACE_IS_KNOWN_FOR,
        limit=limit,
    )


def wrong_password() -> Refusal:
    return Refusal(Kind.UNAUTHORIZED, "password", "Authentication failed, wrong password.")


def _begin(tx: Transaction, email: str, place: str, now: int) -> _Begun:
    stored = users.stored_password(tx, email, now)
    known = stored is not None and _is_known(tx, email, place, now)
    tries = [Try(f"login from {place}", PER_PLACE)]
    # Of unknown users too: else the limit would tell who is known. Nobody's name may be too long for a key.
    account = f"account {email[:LONGEST_EMAIL]}"
    tries.append(Try(f"known {place} {email}", PER_KNOWN_PLACE) if known else Try(account, PER_ACCOUNT))
    taken = take_tries(tx, tries, now)
    for key in taken.newly_limited:
        record(tx, now, NOBODY, "limit logins", email, {"limit": key.partition(" ")[0], "place": place})
    return _Begun(stored, place, known, tuple(tries), taken)


def _is_known(tx: Transaction, email: str, place: str, now: int) -> bool:
    row = tx.one(
        "SELECT 1 FROM known_places WHERE email = :email AND place = :place AND seen_at > :since",
        email=email,
        place=place,
        since=now - PLACE_IS_KNOWN_FOR,
    )
    return row is not None
