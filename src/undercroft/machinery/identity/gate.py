"""From an Authorization header to an identity, and from there into a namespace; remembered for a few seconds."""

import asyncio
from typing import Any

from undercroft.base.clock import Clock
from undercroft.base.ids import new_secret
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import namespaces, store
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.model import (
    ANONYMOUS,
    Identity,
    NotIdentified,
    Unidentified,
    digest,
    token_in,
)

# How long a token revoked on another node may still work here (ms).
REMEMBERED = 5_000
MOST_REMEMBERED = 10_000


class Gate:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[Identity, int]] = {}
        self._used: dict[str, int] = {}
        self._entered: dict[tuple[str, str], int] = {}
        self._claims: dict[asyncio.Task[Any] | None, dict[str, str]] = {}
        """What each request, by its task, has claimed just now: namespace → mark."""
        self._changes = 0
        database.listen(TOKENS, self._forget)

    async def identify(self, authorization: str | None, now: int) -> Identity:
        """Raises NotIdentified."""
        if authorization is None:
            raise NotIdentified(Unidentified.MISSING, "You must provide the Authorization header")
        identity = self.remembered(authorization, now)
        return identity if identity is not None else await self._look_up(token_in(authorization), now)

    def remembered(self, authorization: str, now: int) -> Identity | None:
        """The identity behind the header if it was looked up a moment ago; the quick way in."""
        found = self._known.get(digest(token_in(authorization)))
        if found is None or not 0 <= now - found[1] < REMEMBERED:
            return None
        identity = found[0]
        if identity.expires_at is not None and identity.expires_at <= now:
            return None
        self._used[identity.token] = now
        return identity

    def check_scope(self, identity: Identity, family: str, namespace: str | None) -> None:
        """Raises Refusal(FORBIDDEN) for a token that is not for this."""
        if identity is not ANONYMOUS and not identity.covers(family, namespace):
            wanted = f"{family}:{namespace}" if namespace else family
            raise Refusal(Kind.FORBIDDEN, "forbidden", f"this token is not for {wanted}")

    def check_family(self, identity: Identity, family: str) -> None:
        """Raises Refusal(FORBIDDEN) for a token that is for nothing in this family."""
        allowed = identity.scopes is None or any(scope.partition(":")[0] == family for scope in identity.scopes)
        if identity is not ANONYMOUS and not allowed:
            raise Refusal(Kind.FORBIDDEN, "forbidden", f"this token is not for {family}")

    def has_entered(self, identity: Identity, namespace: str, now: int) -> bool:
        """Whether it was let into the namespace a moment ago; the quick way in."""
        at = self._entered.get((identity.token, namespace))
        return at is not None and 0 <= now - at < REMEMBERED

    async def enter(self, identity: Identity, family: str, namespace: str, now: int, *, writing: bool) -> None:
        """Let it act in the namespace. One that nobody has written in becomes its first writer's teams'; `settle` says
        whether for good.

        Raises Refusal: INVALID for what can be no namespace; FORBIDDEN for a token of another scope, and in a namespace
        of other teams.
        """
        namespaces.check(namespace)
        self.check_scope(identity, family, namespace)
        if self.has_entered(identity, namespace, now):
            return
        changes = self._changes
        teams, is_sure = await self._database.read(namespaces.standing, namespace)
        if teams:
            _check_owners(identity, namespace, teams)
        if writing and not is_sure:
            is_sure = await self._claim(identity, namespace, now)
        if is_sure and changes == self._changes:  # a claim that may be taken back is nothing to rely on
            self._remember_entry(identity, namespace, now)

    def has_claims(self) -> bool:
        """Whether any request that is under way has claimed something."""
        return bool(self._claims)

    async def settle(self, *, refused: bool) -> None:
        """The request of this task is answered. What it has claimed is nobody's again if it was refused."""
        for namespace, mark in self._claims.pop(asyncio.current_task(), {}).items():
            if refused:
                await self._database.write(namespaces.unclaim, namespace, mark)

    async def _claim(self, identity: Identity, namespace: str, now: int) -> bool:
        """Whether it was theirs already, and stays so."""
        task = asyncio.current_task()
        if namespace in self._claims.get(task, ()):
            return False
        mark = new_secret()
        teams, is_fresh = await self._database.write(namespaces.claim, namespace, identity, now, mark)
        _check_owners(identity, namespace, teams)
        if is_fresh:
            self._claims.setdefault(task, {})[namespace] = mark
        return not is_fresh

    def _remember_entry(self, identity: Identity, namespace: str, now: int) -> None:
        if len(self._entered) >= MOST_REMEMBERED:
            self._entered.clear()
        self._entered[identity.token, namespace] = now

    async def _look_up(self, token: str, now: int) -> Identity:
        key, changes = digest(token), self._changes
        identity = await self._database.read(store.find_identity, key)
        if identity is None or (identity.expires_at is not None and identity.expires_at <= now):
            raise NotIdentified
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if changes == self._changes:  # else what was read may be from before a token was revoked
            self._known[key] = (identity, now)
        self._used[identity.token] = now
        return identity

    def _forget(self, _ids: list[str]) -> None:
        self._changes += 1
        self._known.clear()
        self._entered.clear()

    async def write_down_use(self, now: int) -> bool:
        """A step: when each token was last used; and expired tokens are forgotten."""
        used, self._used = self._used, {}
        if used:
            await self._database.write(store.note_use, used)
        return await self._database.write(store.delete_expired, now, 500) == 500


def check_still_in(tx: Transaction, identity: Identity, namespace: str, now: int) -> None:
    """Of who was let in some time ago: tokens are revoked, members leave teams, shares are taken back.

    Raises Refusal: UNAUTHORIZED, FORBIDDEN.
    """
    if identity is ANONYMOUS:
        return
    by_now = store.find_again(tx, identity, now)
    if by_now is None:
        raise Refusal(Kind.UNAUTHORIZED, "unauthorized", "Invalid token")
    teams, _ = namespaces.standing(tx, namespace)
    if teams:
        _check_owners(by_now, namespace, teams)


def _check_owners(identity: Identity, namespace: str, teams: tuple[str, ...]) -> None:
    if not teams or not (namespaces.enters_all(identity) or not set(teams).isdisjoint(identity.teams)):
        raise Refusal(Kind.FORBIDDEN, "forbidden", f"{namespace!r} belongs to another team")
