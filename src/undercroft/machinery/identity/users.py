"""Users: how they come and go, and their passwords as hashes."""

import re
from typing import Any, NamedTuple

from undercroft.base.clock import HOUR
from undercroft.base.refusals import Kind, Refusal, conflict, invalid, not_found
from undercroft.database import Transaction
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.limits import forget_tries
from undercroft.machinery.identity.memberships import count_members, lock_team, lock_user, teams_of, user_exists
from undercroft.machinery.identity.model import ADMIN_EMAIL
from undercroft.machinery.identity.records import record
from undercroft.machinery.mail.addresses import LONGEST_ADDRESS, Mailbox, read_mailbox

LONGEST_EMAIL = LONGEST_ADDRESS
MAILED_PASSWORD_LASTS = HOUR

# The contract's pattern; what a mail can be sent to is asked beside it.
_EMAIL = re.compile(r"""[^@\s]+@(?:[-a-z0-9]+\.)+[a-z]{2,}""")


class User(NamedTuple):
    email: str
    created_at: int
    teams: tuple[str, ...]
    has_password: bool
    keys: int


class Stored(NamedTuple):
    """What is kept of a password: its hash, None where there is none or a mailed one has ended."""

    hash: str | None


def check_email(email: str) -> None:
    """Raises Refusal(INVALID, "email"). The admin's own address is one that nobody can sign up with."""
    if email == ADMIN_EMAIL:
        return
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email) or not _can_be_mailed_to(email):
        raise invalid("email", "Invalid email.")


def create_user(tx: Transaction, email: str, password: str | None, now: int, actor: str) -> None:
    """`password` is a hash; None for one who comes in by tokens alone. Raises Refusal(CONFLICT, "registered")."""
    made = tx.run(
        "INSERT INTO users (email, created_at, password) VALUES (:email, :now, :password) ON CONFLICT DO NOTHING",
        email=email,
        now=now,
        password=password,
    )
    if not made:
        raise _registered()
    record(tx, now, actor, "create user", email)


def require_user(tx: Transaction, email: str) -> None:
    """Raises Refusal(NOT_FOUND, "user")."""
    if not user_exists(tx, email):
        raise no_such_user()


def require_unregistered(tx: Transaction, email: str) -> None:
    """Raises Refusal(CONFLICT, "registered"). Asked before a password is hashed for nothing."""
    if user_exists(tx, email):
        raise _registered()


def no_such_user() -> Refusal:
    return not_found("user", "User not found")


def _registered() -> Refusal:
    return conflict("registered", "This email is already registered.")


def stored_password(tx: Transaction, email: str, now: int) -> Stored | None:
    """None for an unknown user."""
    row = tx.one("SELECT password, password_until FROM users WHERE email = :email", email=email)
    if row is None:
        return None
    hash, until = row
    return Stored(None if until is not None and until <= now else hash)


def change_password(tx: Transaction, email: str, before: str, after: str, keep: str, now: int) -> None:
    """From hash to hash. Its tokens and sessions end, but for `keep`, by which it was changed.

    Raises Refusal(FORBIDDEN, "password") when the password is another by now.
    """
    changed = tx.run(
        "UPDATE users SET password = :after, password_until = NULL WHERE email = :email AND password = :before",
        email=email,
        before=before,
        after=after,
    )
    if not changed:
        raise Refusal(Kind.FORBIDDEN, "password", "The given password didn't match the user's current password.")
    _after_new_password(tx, email, keep)
    record(tx, now, email, "change password", email)


def set_password(tx: Transaction, email: str, after: str, until: int | None, now: int, actor: str) -> None:
    """A new hash, whatever was before; every token and session of the user's ends. `until`: it is good until then.

    Raises Refusal(NOT_FOUND, "user").
    """
    found = tx.run(
        "UPDATE users SET password = :after, password_until = :until WHERE email = :email",
        email=email,
        after=after,
        until=until,
    )
    if not found:
        raise no_such_user()
    _after_new_password(tx, email, "")
    record(tx, now, actor, "set password", email)


def renew_hash(tx: Transaction, email: str, before: str, after: str) -> None:
    """The same password, hashed anew."""
    tx.run(
        "UPDATE users SET password = :after WHERE email = :email AND password = :before",
        email=email,
        before=before,
        after=after,
    )


def remove_user(tx: Transaction, email: str, now: int, actor: str) -> None:
    """The user with all memberships, keys, tokens and sessions, or nothing of it.

    Raises Refusal: NOT_FOUND "user", FORBIDDEN "last_member" of a team, FORBIDDEN "admin".
    """
    if email == ADMIN_EMAIL:
        raise Refusal(Kind.FORBIDDEN, "admin", f"{ADMIN_EMAIL} is the server's own admin and cannot be removed.")
    if not lock_user(tx, email):
        raise no_such_user()
    for team in teams_of(tx, email):
        if lock_team(tx, team) and count_members(tx, team) == 1:
            raise Refusal(
                Kind.FORBIDDEN,
                "last_member",
                f'This user is the last member of the team "{team}", so it cannot be removed.\n\n'
                "Please remove the team, then remove the user.",
            )
    for table in ("team_members", "user_keys", "resets", "known_places", "users"):
        tx.run(f"DELETE FROM {table} WHERE email = :email", email=email)
    ended = tx.all("DELETE FROM tokens WHERE email = :email RETURNING id", email=email)
    tx.tell(TOKENS, [*(id for (id,) in ended), email])  # who comes in by the password may have no token
    record(tx, now, actor, "remove user", email)


def list_users(tx: Transaction, after: str, limit: int) -> list[User]:
    """Those whose e-mail comes after this one, in their order."""
    rows = tx.all(
        "SELECT u.email, u.created_at, u.password IS NOT NULL,"
        " (SELECT COUNT(*) FROM user_keys k WHERE k.email = u.email)"
        " FROM users u WHERE u.email > :after ORDER BY u.email LIMIT :limit",
        after=after,
        limit=limit,
    )
    members: dict[str, list[str]] = {row[0]: [] for row in rows}
    for email, team in _memberships(tx, list(members)):
        members[email].append(team)
    return [
        User(email, created_at, tuple(members[email]), bool(has_password), keys)
        for email, created_at, has_password, keys in rows
    ]


def _memberships(tx: Transaction, emails: list[str]) -> list[Any]:
    return tx.each(
        "SELECT m.email, m.team FROM team_members m WHERE m.email IN (SELECT r.email FROM {rows}) ORDER BY m.team",
        "email TEXT",
        [(email,) for email in emails],
    )


def _can_be_mailed_to(email: str) -> bool:
    try:
        return read_mailbox("email", email) == Mailbox(email)
    except Refusal:
        return False


def _after_new_password(tx: Transaction, email: str, keep: str) -> None:
    """What was let in by the old password, or could set another, is let in no more."""
    ended = tx.all(
        "DELETE FROM tokens WHERE email = :email AND id <> :keep AND kind IN ('made', 'login', 'session') RETURNING id",
        email=email,
        keep=keep,
    )
    tx.tell(TOKENS, [id for (id,) in ended] or [keep])
    tx.run("DELETE FROM resets WHERE email = :email", email=email)
    forget_tries(tx, [f"account {email}"])
