"""Users and teams for the tests of identity, and two transactions that meet."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.machinery.deliveries.making import NOW
from undercroft.base.ids import new_secret, sortable_id
from undercroft.base.refusals import Refusal
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import memberships, store, teams, users
from undercroft.machinery.identity.model import ADMIN_EMAIL, MADE, Identity, Token, digest

ADMINS_TOKEN = "the-admins-own-token"
ANN, BOB, EVE = "ann@shop.example", "bob@shop.example", "eve@else.example"


class People:
    """A house with its admin; `ann` and others come as tests make them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def make(self, *emails: str, password: str | None = None) -> None:
        for email in emails:
            await self.database.write(users.create_user, email, password, NOW, ADMIN_EMAIL)

    async def team(self, name: str, *emails: str) -> None:
        """A team of these users, who are there already."""
        await self.database.write(teams.create_team, name, await self.who(emails[0]), NOW)
        for email in emails[1:]:
            await self.database.write(memberships.put_member, name, email, 0)

    async def who(self, email: str) -> Identity:
        return await self.database.read(store.identity_of, email, f"token of {email}")

    async def signed_in(self, email: str, **more: Any) -> tuple[Identity, str]:
        """With a token that exists; and the token."""
        owner = await self.who(email)
        token, secret = await self.database.write(_token, owner, NOW)
        return owner._replace(token=token, **more), secret

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.all(sql))

    async def events(self) -> list[tuple[str, str, str]]:
        """(actor, action, subject), oldest first."""
        rows = await self.rows("SELECT actor, action, subject FROM events ORDER BY id")
        return [(actor, action, subject) for actor, action, subject in rows]

    async def refusal(self, action: Callable[..., Any], *args: Any) -> Refusal:
        """What the action refuses with, having changed nothing."""
        before = await self.everything()
        try:
            await self.database.write(action, *args)
        except Refusal as refusal:
            assert await self.everything() == before
            return refusal
        raise AssertionError("it was not refused")

    async def everything(self) -> list[Any]:
        tables = ("users", "teams", "team_members", "user_keys", "tokens", "resets", "events", "namespaces")
        return [await self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def _token(tx: Transaction, owner: Identity, now: int) -> tuple[str, str]:
    secret = new_secret()
    token = Token(sortable_id(), owner.email, "of a test", None, now, None, None)
    store.put_token(tx, token, digest(secret), MADE)
    return token.id, secret


class Meeting:
    """On PostgreSQL: the first transaction is held open until the second stands in line behind it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_held = threading.Event()
        self._go_on = threading.Event()

    async def both(
        self,
        first: Callable[[Transaction], Any],
        second: Callable[[Transaction], Any],
        then: Callable[[Transaction], Any] | None = None,
    ) -> list[Any]:
        """What each gave, or its Refusal. `then`: what the first goes on with when the second stands there."""

        def held(tx: Transaction) -> Any:
            result = first(tx)
            self._is_held.set()
            assert self._go_on.wait(20), "nobody came"
            return then(tx) if then else result

        one = asyncio.create_task(self._database.write(held))
        await asyncio.to_thread(self._is_held.wait, 20)  # all of it: between two statements it would hold less
        other = asyncio.create_task(self._database.write(second))
        await self._until("wait_event_type = 'Lock'")
        self._go_on.set()
        return list(await asyncio.gather(one, other, return_exceptions=True))

    async def _until(self, condition: str) -> None:
        sql = f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
        async with asyncio.timeout(20):
            found = None
            while not found:
                found = await self._database.read(lambda tx: tx.all(sql))
