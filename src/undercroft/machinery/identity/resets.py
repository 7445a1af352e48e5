"""A forgotten password: a token that is mailed, good once and for a day, sets another."""

from collections.abc import Callable
from typing import NamedTuple

from undercroft.base.clock import DAY, MINUTE
from undercroft.base.ids import new_secret
from undercroft.base.refusals import invalid
from undercroft.database import Transaction
from undercroft.machinery.identity.limits import Limit, Try, place_of, take_tries
from undercroft.machinery.identity.memberships import lock_user, user_exists
from undercroft.machinery.identity.model import ADMIN_EMAIL, digest
from undercroft.machinery.identity.records import NOBODY, record
from undercroft.machinery.identity.users import MAILED_PASSWORD_LASTS, no_such_user, require_user, set_password

LASTS = DAY
# Nobody's mailbox is filled from elsewhere.
PER_USER = Limit(3, 20 * MINUTE)
PER_PLACE = Limit(10, 5 * MINUTE)

SendMail = Callable[[Transaction, str, str, str], None]
"""(tx, to, subject, text): put a mail into the queue in this transaction."""


class Asked(NamedTuple):
    wait: int
    """ms until another may be asked for; 0: this one may."""
    known: bool
    """False: there is no such user, and nothing was mailed."""


class NewPassword(NamedTuple):
    hash: str
    mailed: str | None = None
    """The password itself where it was made here and is to be mailed; it is then good for an hour."""


def begin_reset(tx: Transaction, email: str, address: str | None, now: int, send_mail: SendMail) -> Asked:
    """Mail a token, unless too many were asked for, or for nobody. Raises Refusal(INVALID, "no_mailbox").

    An unknown user is no refusal, for that would undo the count: asking who is a user is limited too.
    """
    if email == ADMIN_EMAIL:
        raise invalid("no_mailbox", f"{ADMIN_EMAIL} is no mailbox: admins PUT /users/{email}/password")
    known = user_exists(tx, email)
    tries = [Try(f"reset from {place_of(address)}", PER_PLACE)]
    if known:
        tries.append(Try(f"reset of {email}", PER_USER))
    wait = take_tries(tx, tries, now).wait
    if wait or not known:
        return Asked(wait, known)
    secret = new_secret()
    tx.run(
        "INSERT INTO resets (digest, email, expires_at) VALUES (:digest, :email, :expires_at)",
        digest=digest(secret),
        email=email,
        expires_at=now + LASTS,
    )
    send_mail(tx, email, "A new password", _token_text(email, secret))
    record(tx, now, NOBODY, "ask for reset", email)
    return Asked(0, True)


def check_reset(tx: Transaction, email: str, token: str, now: int) -> None:
    """Raises Refusal: NOT_FOUND "user", INVALID "reset_token". Asked before a password is hashed for nothing."""
    require_user(tx, email)
    row = tx.one("SELECT email, expires_at FROM resets WHERE digest = :digest", digest=digest(token))
    if row is None or row[0] != email or row[1] <= now:
        raise _wrong_token()


def finish_reset(tx: Transaction, email: str, token: str, new: NewPassword, now: int, send_mail: SendMail) -> None:
    """The token is used up, every token and session of the user's ends, and the user is told.

    Raises Refusal: NOT_FOUND "user", INVALID "reset_token" for one that is unknown, another user's, used or too old.
    """
    if not lock_user(tx, email):  # before the token, as `remove_user` does: nobody waits in a ring
        raise no_such_user()
    used = tx.run(
        "DELETE FROM resets WHERE digest = :digest AND email = :email AND expires_at > :now",
        digest=digest(token),
        email=email,
        now=now,
    )
    if not used:
        raise _wrong_token()
    until = None if new.mailed is None else now + MAILED_PASSWORD_LASTS
    set_password(tx, email, new.hash, until, now, email)
    text = _changed_text(email) if new.mailed is None else _password_text(email, new.mailed)
    send_mail(tx, email, "Your password was changed", text)


def forget_old_resets(tx: Transaction, now: int, limit: int) -> int:
    return tx.run(
        "DELETE FROM resets WHERE digest IN (SELECT digest FROM resets WHERE expires_at <= :now LIMIT :limit)",
        now=now,
        limit=limit,
    )


def _wrong_token() -> Exception:
    return invalid("reset_token", "Invalid token")


def _token_text(email: str, secret: str) -> str:
    return (
        f"Somebody asked for a new password for {email}. If it was you, this token sets one:\n\n"
        f"    {secret}\n\n"
        f"    croft user reset {email} --token -\n\n"
        "It is good once and for 24 hours. If it was not you, do nothing: your password stays as it is.\n"
    )


def _password_text(email: str, password: str) -> str:
    return (
        f"The password of {email} was reset, and everybody who was signed in with the old one is signed out.\n\n"
        f"    {password}\n\n"
        "This password is good for one hour. Sign in with it and set your own:\n\n"
        "    croft user password\n"
    )


def _changed_text(email: str) -> str:
    return (
        f"The password of {email} was changed by a token that was mailed here, and everybody who was signed in with the"
        " old one is signed out.\n\nIf it was not you, tell the admins of the server.\n"
    )
