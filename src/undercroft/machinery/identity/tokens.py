"""Tokens that are not made by hand: got for a password, an app's own, and those that an admin gets for somebody."""

from contextlib import suppress

from undercroft.base.clock import DAY
from undercroft.base.ids import new_hex_secret, sortable_id
from undercroft.base.refusals import Kind, Refusal, conflict, invalid
from undercroft.database import Transaction
from undercroft.machinery.identity import store
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.logins import Verified, enter
from undercroft.machinery.identity.memberships import lock_user
from undercroft.machinery.identity.model import APP, LOGIN, MADE, SESSION, Identity, Token, digest
from undercroft.machinery.identity.records import record
from undercroft.machinery.identity.users import create_user

APP_TOKEN_LASTS = 365 * DAY
LONGEST_APP = 100


def start_login(tx: Transaction, verified: Verified, lasts: int, most: int, now: int) -> str:
    """A token for who gave the password, good for `lasts` ms. Of more than `most` the oldest end.

    Raises Refusal(UNAUTHORIZED) when the password was changed meanwhile.
    """
    enter(tx, verified, now)
    token = Token(sortable_id(), verified.email, "login", None, now, now + lasts, None)
    secret = new_hex_secret()
    store.put_token(tx, token, digest(secret), LOGIN)
    tx.tell(TOKENS, store.delete_oldest_logins(tx, verified.email, most))
    return secret


def log_out(tx: Transaction, caller: Identity, now: int) -> None:
    """The caller's token ends. Raises Refusal(FORBIDDEN, "preset") for one that the settings would bring back."""
    if caller.kind not in (MADE, LOGIN, SESSION, APP):
        message = "This token is the server's own: it ends when the server is given another at its start."
        raise Refusal(Kind.FORBIDDEN, "preset", message)
    lock_user(tx, caller.email)
    store.delete_token(tx, caller.token)
    tx.tell(TOKENS, [caller.token])
    record(tx, now, caller.email or f"app {caller.app}", "log out", caller.token)


def make_app_token(tx: Transaction, app: str, maker: Identity, now: int) -> str:
    """A token that may do what its app may, for a year, and nothing that a user may.

    Raises Refusal(INVALID, "app") for what is no name of one.
    """
    if not 0 < len(app) <= LONGEST_APP or not app.isprintable() or app != app.strip():
        raise invalid("app", f"client is the name of an app, of up to {LONGEST_APP} letters")
    token = Token(sortable_id(), "", app, (f"apps:{app}",), now, now + APP_TOKEN_LASTS, None)
    secret = new_hex_secret()
    store.put_token(tx, token, digest(secret), APP)
    record(tx, now, maker.email, "make app token", app, {"token": token.id})
    return secret


def make_user_token(tx: Transaction, email: str, maker: Identity, now: int) -> str:
    """Another token of this user's, who is made where there is none. It can do all that the user may, for good.

    Raises Refusal(CONFLICT, "removed") where somebody removes the user at the same moment.
    """
    if not lock_user(tx, email):
        with suppress(Refusal):  # somebody else has made the user at this very moment
            create_user(tx, email, None, now, maker.email)
        if not lock_user(tx, email):  # and somebody has removed it: a token would be nobody's
            raise conflict("removed", f"{email} was removed at this moment; try again")
    token = Token(sortable_id(), email, "user token", None, now, None, None)
    secret = new_hex_secret()
    store.put_token(tx, token, digest(secret), MADE)
    record(tx, now, maker.email, "make user token", email, {"token": token.id})
    return secret
