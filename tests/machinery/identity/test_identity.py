"""Tokens: who they let in and for what, how long, and what is kept of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.database.engines import all_migrations
from tests.machinery.deliveries.making import NOW, Clock
from undercroft.base.clock import SECOND
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, open_database
from undercroft.machinery.identity import actions, store
from undercroft.machinery.identity.actions import PRESET
from undercroft.machinery.identity.gate import REMEMBERED, Gate
from undercroft.machinery.identity.model import ADMIN_EMAIL, Identity, token_in

pytestmark = pytest.mark.anyio

ADMIN = "the-admins-own-token"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class House:
    """A gate, its database, and the admin."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.gate = Gate(database, clock)

    async def who(self, authorization: str | None) -> Identity:
        return await self.gate.identify(authorization, self.clock())

    async def make(
        self, owner: Identity, scopes: tuple[str, ...] | None = None, expires_in: int | None = None
    ) -> tuple[Any, str]:
        return await self.database.write(actions.create_token, owner, "of a test", scopes, expires_in, self.clock())

    async def is_refused(self, authorization: str | None) -> bool:
        try:
            await self.who(authorization)
        except Refusal as refusal:
            assert (refusal.kind, refusal.code) == (Kind.UNAUTHORIZED, "unauthorized")
            return True
        return False


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    clock = Clock()
    database = await open_database(database_url, all_migrations(), clock, pool=3)
    await database.write(actions.set_up_admin, ADMIN, clock(), kind=PRESET)
    yield House(database, clock)
    await database.close()


# Forms


@pytest.mark.parametrize("header", ["bearer T", "Bearer T", "Token T", "token T", "anything T", "T", " T"])
def test_forms_that_carry_a_token(header: str) -> None:
    assert token_in(header) == "T"


@pytest.mark.parametrize("header", ["", " ", "bearer ", "bearer T extra", "bearer  T", "a b c d", "T "])
def test_forms_that_carry_none(header: str) -> None:
    with pytest.raises(Refusal) as refused:
        token_in(header)
    assert refused.value.kind is Kind.UNAUTHORIZED


async def test_the_admins_token_in_every_form_and_no_other(house: House) -> None:
    for header in (f"bearer {ADMIN}", f"Token {ADMIN}", ADMIN):
        identity = await house.who(header)
        assert (identity.email, identity.teams, identity.scopes) == (ADMIN_EMAIL, ("admin",), None)
        assert identity.is_admin()
    for wrong in (None, "", "bearer", f"bearer {ADMIN} x", ADMIN + "x", ADMIN[:-1], ADMIN.upper(), "bearer \udce4"):
        assert await house.is_refused(wrong)


# What is kept


async def test_of_a_token_only_its_digest_is_kept(house: House) -> None:
    token, secret = await house.make(await house.who(ADMIN))

    kept = await house.database.read(lambda tx: [*tx.all("SELECT * FROM tokens"), *tx.all("SELECT * FROM users")])

    assert len(secret) >= 26
    for value in (secret, ADMIN):
        assert value not in repr(kept)
    assert token.id in repr(kept)
    assert secret not in repr(token)


async def test_secrets_are_never_the_same(house: House) -> None:
    admin = await house.who(ADMIN)

    made = {secret for _, secret in [await house.make(admin) for _ in range(20)]}

    assert len(made) == 20


async def test_when_it_was_last_used_is_written_down(house: House) -> None:
    token, secret = await house.make(await house.who(ADMIN))
    assert await _last_used(house, token.id) is None

    for later in (0, 1_000, 90_000):
        house.clock.now = NOW + later
        await house.who(secret)
    await house.gate.write_down_use(house.clock())

    assert await _last_used(house, token.id) == NOW + 90_000


async def _last_used(house: House, id: str) -> int | None:
    tokens = await house.database.read(store.tokens_of, ADMIN_EMAIL)
    return next(token.last_used_at for token in tokens if token.id == id)


# How long


async def test_it_works_until_it_expires_also_while_it_is_remembered(house: House) -> None:
    token, secret = await house.make(await house.who(ADMIN), expires_in=2)
    assert token.expires_at == NOW + 2 * SECOND

    house.clock.now = NOW + 2 * SECOND - 1
    await house.who(secret)
    house.clock.now += 1
    assert await house.is_refused(secret)

    await house.gate.write_down_use(house.clock() + 1)
    assert await house.database.read(store.tokens_of, ADMIN_EMAIL) == []


async def test_it_is_revoked_at_once_and_its_children_with_it(house: House) -> None:
    admin = await house.who(ADMIN)
    token, secret = await house.make(admin)
    child, child_secret = await house.make(await house.who(secret), ("timers",))
    _, grandchild_secret = await house.make(await house.who(child_secret), ("timers:shop",))
    _, other_secret = await house.make(admin)
    for known in (secret, child_secret, grandchild_secret, other_secret):
        await house.who(known)

    await house.database.write(actions.revoke_token, admin, token.id, NOW)

    for gone in (secret, child_secret, grandchild_secret):
        assert await house.is_refused(gone)
    await house.who(other_secret)
    assert child.id


async def test_a_token_revoked_while_it_is_looked_up_is_not_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await house.who(ADMIN)
    token, secret = await house.make(admin)
    really_read = house.database.read

    async def read_and_revoke(query: Any, *args: Any) -> Any:
        found = await really_read(query, *args)
        if query is store.find_identity:
            await house.database.write(actions.revoke_token, admin, token.id, NOW)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(house.database, "read", read_and_revoke)
        await house.who(secret)

    assert await house.is_refused(secret)


async def test_what_another_node_revoked_works_for_some_seconds_at_the_most(house: House) -> None:
    admin = await house.who(ADMIN)
    token, secret = await house.make(admin)
    await house.who(secret)
    await house.database.write(lambda tx: tx.run("DELETE FROM tokens WHERE id = :id", id=token.id))

    house.clock.now = NOW + REMEMBERED - 1
    await house.who(secret)
    house.clock.now += 1
    assert await house.is_refused(secret)


async def test_one_that_is_not_ones_own_or_not_there_is_not_revoked(house: House) -> None:
    admin = await house.who(ADMIN)
    token, secret = await house.make(admin)
    stranger = admin._replace(email="somebody@else.example")

    for owner, id in ((stranger, token.id), (admin, "nothing"), (admin, admin.token)):
        with pytest.raises(Refusal) as refused:
            await house.database.write(actions.revoke_token, owner, id, NOW)
        assert refused.value.kind is Kind.NOT_FOUND

    await house.who(secret)
    await house.who(ADMIN)


# For what


async def test_a_token_makes_none_that_is_mightier(house: House) -> None:
    admin = await house.who(ADMIN)
    _, secret = await house.make(admin, ("timers:shop", "locks"), expires_in=100)
    scoped = await house.who(secret)
    assert not scoped.is_admin()

    for wanted in (("timers",), ("timers:other",), ("timers:shop", "timers:x"), ("timers:shop:x",), ("timers:",)):
        with pytest.raises(Refusal) as refused:
            await house.make(scoped, wanted)
        assert refused.value.code == "scope"

    for wanted, got in (
        (None, ("timers:shop", "locks")),
        (("timers:shop",), ("timers:shop",)),
        (("locks:any",), ("locks:any",)),
    ):
        token, _ = await house.make(scoped, wanted, expires_in=10**6)
        assert token.scopes == got
        assert token.expires_at == NOW + 100 * SECOND
    token, _ = await house.make(scoped)
    assert token.expires_at == NOW + 100 * SECOND


async def test_a_session_is_no_mightier_and_shorter(house: House) -> None:
    _, secret = await house.make(await house.who(ADMIN), ("timers",), expires_in=60)
    short, _ = await house.database.write(actions.start_session, await house.who(secret), NOW)
    long, _ = await house.database.write(actions.start_session, await house.who(ADMIN), NOW)

    assert (short.scopes, short.expires_at) == (("timers",), NOW + 60 * SECOND)
    assert (long.scopes, long.expires_at) == (None, NOW + actions.SESSION_SECONDS * SECOND)


async def test_only_a_session_is_ended_as_one(house: House) -> None:
    _, session = await house.database.write(actions.start_session, await house.who(ADMIN), NOW)
    _, made = await house.make(await house.who(ADMIN))
    for secret in (session, made):
        await house.who(secret)
        await house.database.write(actions.end_session, secret)

    assert await house.is_refused(session)
    await house.who(made)


async def test_a_new_preset_token_replaces_the_one_before(house: House) -> None:
    await house.who(ADMIN)
    _, made = await house.make(await house.who(ADMIN))

    for _ in range(2):
        await house.database.write(actions.set_up_admin, "another-preset-token", NOW, kind=PRESET)

    assert await house.is_refused(ADMIN)
    assert (await house.who("another-preset-token")).is_admin()
    await house.who(made)


async def test_tokens_of_several_nodes_stand_beside_each_other(house: House) -> None:
    for node in ("first of a", "first of b"):
        await house.database.write(actions.set_up_admin, f"token {node}".replace(" ", "-"), NOW, kind=node)

    for node in ("a", "b"):
        assert (await house.who(f"token-first-of-{node}")).is_admin()
    assert await house.is_refused(ADMIN), "none is preset any more"
