"""Tokens, scopes and what they allow. Pure."""

import hashlib
import re
from enum import Enum
from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal, invalid

ADMIN_TEAM = "admin"
ADMIN_EMAIL = "admin@localhost"

# Kinds of tokens: made by people for their programs, got for a password, in a browser's cookie, an app's own.
MADE = "made"
LOGIN = "login"
SESSION = "session"
APP = "app"

_SCHEMES = ("bearer", "token", "basic")
_SCOPE = re.compile(r"[a-z][a-z0-9_-]*(:.+)?", re.DOTALL)


class Identity(NamedTuple):
    """Who makes a request. `scopes` None: everything that the user may do."""

    email: str
    teams: tuple[str, ...]
    token: str
    """The token's id, never the token."""
    scopes: tuple[str, ...] | None = None
    expires_at: int | None = None
    kind: str = MADE
    home: str | None = None
    """The team that the user has been in longest."""

    @property
    def app(self) -> str | None:
        """The app whose own token this is; it acts for no user."""
        return self.scopes[0].partition(":")[2] if self.kind == APP and self.scopes else None

    def is_admin(self) -> bool:
        return ADMIN_TEAM in self.teams and self.scopes is None

    def covers(self, family: str, namespace: str | None) -> bool:
        """Whether its scopes allow this family, in this namespace where there is one.

        A scope is a family, or family:namespace; one with a namespace never allows an operation without.
        """
        if self.scopes is None:
            return True
        return family in self.scopes or (namespace is not None and f"{family}:{namespace}" in self.scopes)

    def covers_all(self, scopes: tuple[str, ...] | None) -> bool:
        """Whether these allow no more than its own do: a token in the hands of an app sees and ends no mightier one."""
        if self.scopes is None:
            return True
        return scopes is not None and all(
            self.covers(family, namespace or None) for family, _, namespace in (s.partition(":") for s in scopes)
        )


class Unidentified(Enum):
    """Why an Authorization header tells nobody who calls."""

    MISSING = "missing"
    EMPTY = "empty"
    SPACES = "spaces"
    UNKNOWN = "unknown"
    PASSWORD = "password"


class NotIdentified(Refusal):
    """401. `why` is for families whose documents word each case."""

    def __init__(self, why: Unidentified = Unidentified.UNKNOWN, message: str = "Invalid token") -> None:
        super().__init__(Kind.UNAUTHORIZED, "unauthorized", message)
        self.why = why


ANONYMOUS = Identity("anonymous", (), "anonymous", ())
"""A caller from the same machine, let in by the settings: an admin of just what they open."""


class Token(NamedTuple):
    """A token as it may be shown: without itself."""

    id: str
    email: str
    name: str
    scopes: tuple[str, ...] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


def digest(token: str) -> str:
    """What is kept of a token. No salt: it is 160 random bits, not a password."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_in(authorization: str) -> str:
    """The token in an Authorization header: `bearer T`, `Token T` (any word before it), or bare `T`.

    Split on single spaces, one or two parts. Raises NotIdentified. (contracts: apps §1)
    """
    parts = authorization.split(" ")
    if not parts[-1] or (len(parts) == 1 and parts[0].lower() in _SCHEMES):
        raise NotIdentified(Unidentified.EMPTY)
    if len(parts) > 2:
        raise NotIdentified(Unidentified.SPACES)
    return parts[-1]


def check_scopes(scopes: tuple[str, ...] | None, families: tuple[str, ...]) -> None:
    """Raises Refusal(INVALID, "scope") for one that names no family."""
    for scope in scopes or ():
        family = scope.partition(":")[0]
        if len(scope) > 200 or not _SCOPE.fullmatch(scope) or family not in families:
            known = ", ".join(families)
            raise invalid(
                "scope", f"the scope {scope[:200]!r} is not FAMILY or FAMILY:NAMESPACE; families are: {known}"
            )
