"""Tokens that are not made by hand: of apps, for users, and how they end."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ADMINS_TOKEN, ANN, Meeting, People
from undercroft.base.clock import DAY
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Transaction
from undercroft.machinery.identity import actions, store, tokens, users
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.model import ADMIN_EMAIL, NotIdentified

pytestmark = pytest.mark.anyio


def gate_of(people: People) -> Gate:
    return Gate(people.database, lambda: NOW)


async def is_out(gate: Gate, secret: str) -> bool:
    try:
        await gate.identify(secret, NOW)
    except NotIdentified:
        return True
    return False


async def test_an_apps_token_is_its_apps_alone(people: People) -> None:
    gate = gate_of(people)
    admin = await gate.identify(ADMINS_TOKEN, NOW)
    secret = await people.database.write(tokens.make_app_token, "cart", admin, NOW)

    identity = await gate.identify(secret, NOW + 365 * DAY - 1)

    assert (identity.email, identity.teams, identity.scopes) == ("", (), ("apps:cart",))
    assert identity.app == "cart" and admin.app is None
    assert not identity.is_admin()
    assert identity.covers("apps", "cart")
    for family, namespace in (("apps", None), ("apps", "other"), ("accounts", None), ("timers", "cart")):
        assert not identity.covers(family, namespace)
    made = await people.refusal(actions.create_token, identity, "more", None, None, NOW)
    assert made.kind is Kind.FORBIDDEN
    with pytest.raises(NotIdentified):
        await gate.identify(secret, NOW + 365 * DAY)


async def test_an_apps_token_outlives_its_makers(people: People) -> None:
    gate = gate_of(people)
    maker, _ = await people.signed_in(ADMIN_EMAIL)
    secret = await people.database.write(tokens.make_app_token, "cart", maker, NOW)

    await people.database.write(actions.revoke_token, maker, maker.token, NOW)

    assert not await is_out(gate, secret)
    await people.database.write(tokens.log_out, await gate.identify(secret, NOW), NOW)
    assert await is_out(gate, secret)
    assert (await people.events())[-1][:2] == ("app cart", "log out")


@pytest.mark.parametrize("app", ["", " cart", "cart\n", "c\x00", "x" * 101, "\ud800"])
async def test_apps_have_names(people: People, app: str) -> None:
    admin = await people.who(ADMIN_EMAIL)
    assert (await people.refusal(tokens.make_app_token, app, admin, NOW)).code == "app"


async def test_each_token_for_a_user_is_another_and_the_old_ones_stay(people: People) -> None:
    gate, admin = gate_of(people), await people.who(ADMIN_EMAIL)

    secrets = [await people.database.write(tokens.make_user_token, ANN, admin, NOW) for _ in range(3)]

    assert len(set(secrets)) == 3
    for secret in secrets:
        assert (await gate.identify(secret, NOW + 10_000 * DAY)).email == ANN
    assert [event[1] for event in await people.events()] == ["create user", *["make user token"] * 3]


async def test_a_user_whom_two_make_at_once_is_made_once(crowd: People) -> None:
    admin = await crowd.who(ADMIN_EMAIL)

    both = await Meeting(crowd.database).both(
        lambda tx: tokens.make_user_token(tx, ANN, admin, NOW), lambda tx: tokens.make_user_token(tx, ANN, admin, NOW)
    )

    assert all(isinstance(one, str) for one in both)
    assert await crowd.rows("SELECT email FROM users WHERE email <> 'admin@localhost'") == [(ANN,)]


class Between:
    """A transaction, and what others commit before and after its first statement that begins so."""

    def __init__(self, tx: Transaction, beginning: str, before: Callable[[], Any], after: Callable[[], Any]) -> None:
        self._tx = tx
        self._beginning, self._before, self._after = beginning, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def run(self, sql: str, **parameters: Any) -> int:
        if not sql.startswith(self._beginning):
            return self._tx.run(sql, **parameters)
        self._before()
        touched = self._tx.run(sql, **parameters)
        self._after()
        return touched


async def test_no_token_is_left_of_a_user_who_goes_while_it_is_made(crowd: People) -> None:
    admin, loop = await crowd.who(ADMIN_EMAIL), asyncio.get_running_loop()

    def other(action: Callable[..., None], *args: Any) -> Callable[[], None]:
        return lambda: asyncio.run_coroutine_threadsafe(crowd.database.write(action, *args), loop).result(20)

    def make(tx: Transaction) -> str:
        made = other(users.create_user, ANN, None, NOW, ADMIN_EMAIL)
        between = Between(tx, "INSERT INTO users", made, other(users.remove_user, ANN, NOW, ADMIN_EMAIL))
        return tokens.make_user_token(cast(Transaction, between), ANN, admin, NOW)

    with pytest.raises(Refusal) as refused:
        await crowd.database.write(make)

    assert refused.value.code == "removed"
    assert await crowd.database.read(store.tokens_of, ANN) == []
    await crowd.database.write(tokens.make_user_token, ANN, admin, NOW)


async def test_one_who_logs_out_is_out_and_nobody_else(people: People) -> None:
    await people.make(ANN)
    gate = gate_of(people)
    _, mine = await people.signed_in(ANN)
    _, other = await people.signed_in(ANN)

    await people.database.write(tokens.log_out, await gate.identify(mine, NOW), NOW)

    assert await is_out(gate, mine)
    assert not await is_out(gate, other)


async def test_the_servers_own_token_does_not_end(people: People) -> None:
    admin = await gate_of(people).identify(ADMINS_TOKEN, NOW)
    assert (await people.refusal(tokens.log_out, admin, NOW)).code == "preset"


async def test_who_is_remembered_makes_no_token_that_outlives_the_end(people: People) -> None:
    """Another node may remember for seconds what has ended."""
    await people.make(ANN)
    ann, _ = await people.signed_in(ANN)
    await people.database.write(users.set_password, ANN, "hash", None, NOW, ADMIN_EMAIL)

    for action, *args in ((actions.create_token, "late", None, None, NOW), (actions.start_session, NOW)):
        assert (await people.refusal(action, ann, *args)).kind is Kind.UNAUTHORIZED


async def test_a_token_that_is_made_while_its_maker_ends_ends_too(crowd: People) -> None:
    await crowd.make(ANN)
    ann, _ = await crowd.signed_in(ANN)

    both = await Meeting(crowd.database).both(
        lambda tx: actions.create_token(tx, ann, "late", None, None, NOW),
        lambda tx: users.set_password(tx, ANN, "hash", None, NOW, ADMIN_EMAIL),
    )

    assert both[1] is None
    assert await crowd.database.read(store.tokens_of, ANN) == []


async def test_a_token_that_is_made_while_its_maker_is_revoked_ends_too(crowd: People) -> None:
    await crowd.make(ANN)
    ann, _ = await crowd.signed_in(ANN)

    await Meeting(crowd.database).both(
        lambda tx: actions.create_token(tx, ann, "late", None, None, NOW),
        lambda tx: actions.revoke_token(tx, ann, ann.token, NOW),
    )

    assert await crowd.database.read(store.tokens_of, ANN) == []
