"""What can be done with tokens; one transaction each."""

from undercroft.base.ids import new_secret, sortable_id
from undercroft.base.refusals import Kind, Refusal, invalid, not_found
from undercroft.database import Transaction
from undercroft.machinery.identity import store
from undercroft.machinery.identity.memberships import lock_user, put_member, put_team
from undercroft.machinery.identity.model import (
    ADMIN_EMAIL,
    ADMIN_TEAM,
    LOGIN,
    MADE,
    SESSION,
    Identity,
    NotIdentified,
    Token,
    digest,
)
from undercroft.machinery.identity.records import record

TOKENS = "tokens"
"""The topic on which transactions tell that what tokens allow has changed."""

SESSION_SECONDS = 12 * 3_600


PRESET = "preset"


def set_up_admin(tx: Transaction, secret: str, now: int, *, kind: str) -> None:
    """The admin exists, and this token is the admin's instead of the one of this kind before.

    `kind`: PRESET by settings, the same on all nodes; or a node's own, which it made at its first start. Without a
    preset one, none that was preset before is good any more.
    """
    store.put_user(tx, ADMIN_EMAIL, now)
    put_team(tx, ADMIN_TEAM, now)
    put_member(tx, ADMIN_TEAM, ADMIN_EMAIL, now)
    for outdated in {kind, PRESET}:
        store.delete_others_of_kind(tx, outdated, digest(secret))
    token = Token(sortable_id(), ADMIN_EMAIL, "admin", None, now, None, None)
    store.put_token(tx, token, digest(secret), kind)
    tx.tell(TOKENS, [token.id])


def create_token(
    tx: Transaction,
    owner: Identity,
    name: str,
    scopes: tuple[str, ...] | None,
    expires_in: int | None,
    now: int,
) -> tuple[Token, str]:
    """A new token of the owner's and its secret, which is shown this once. It can't do more than its maker.

    Nor can it outlive its maker; but who signed in with the password makes tokens for as long as wanted. `expires_in`:
    seconds, None for one that does not end.

    Raises Refusal: FORBIDDEN of an app's token, INVALID "scope" for scopes beyond its maker's, NotIdentified where the
    maker was revoked meanwhile.
    """
    if owner.app is not None:
        raise Refusal(Kind.FORBIDDEN, "forbidden", "an app's token makes no tokens")
    _hold(tx, owner)
    if scopes is None:
        scopes = owner.scopes
    if not owner.covers_all(scopes):
        raise invalid("scope", f"your own token covers no more than {', '.join(owner.scopes or ())}")
    expires_at = None if expires_in is None else now + expires_in * 1_000
    by_password = owner.kind == LOGIN
    if owner.expires_at is not None and not by_password:
        expires_at = min(owner.expires_at, expires_at or owner.expires_at)
    token = Token(sortable_id(), owner.email, name, scopes, now, expires_at, None)
    secret = new_secret()
    store.put_token(tx, token, digest(secret), MADE, made_by=None if by_password else owner.token)
    record(tx, now, owner.email, "make token", token.id, {"name": name, "scopes": scopes})
    return token, secret


def start_session(tx: Transaction, owner: Identity, now: int) -> tuple[Token, str]:
    """A token for a browser's cookie, good for twelve hours and for no more than the token that was shown."""
    _hold(tx, owner)
    expires_at = now + SESSION_SECONDS * 1_000
    if owner.expires_at is not None:
        expires_at = min(expires_at, owner.expires_at)
    token = Token(sortable_id(), owner.email, "browser", owner.scopes, now, expires_at, None)
    secret = new_secret()
    store.put_token(tx, token, digest(secret), SESSION, made_by=owner.token)
    return token, secret


def end_session(tx: Transaction, secret: str) -> None:
    """The session with this token ends at once on this node; no other kind of token does."""
    id = store.delete_session(tx, digest(secret))
    if id is not None:
        tx.tell(TOKENS, [id])


def revoke_token(tx: Transaction, owner: Identity, id: str, now: int) -> None:
    """It and those made with it stop working at once on this node, within seconds on others.

    Raises Refusal(NOT_FOUND, "token").
    """
    lock_user(tx, owner.email)  # so that it makes none while it is revoked
    token = next((token for token in store.tokens_of(tx, owner.email) if token.id == id), None)
    if token is None or not owner.covers_all(token.scopes):
        raise not_found("token", f"there is no token {id!r} of yours; `croft token list` shows them")
    store.delete_token(tx, id)
    tx.tell(TOKENS, [id])
    record(tx, now, owner.email, "revoke token", id)


def _hold(tx: Transaction, owner: Identity) -> None:
    """The owner's token is good until the transaction ends.

    Another node may remember it for seconds after it was revoked; it must not make one in them that outlives it.
    """
    if not lock_user(tx, owner.email) or not store.has_token(tx, owner.token):
        raise NotIdentified
