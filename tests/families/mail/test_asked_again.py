"""A POST under a key whose e-mail is not stored any more."""

import pytest

from tests.families.mail.house import EMAIL, house
from undercroft.machinery.mail import store

pytestmark = pytest.mark.anyio


async def test_what_had_its_end_and_was_forgotten_is_not_said_to_be_suppressed(database_url: str) -> None:
    async with house(database_url) as one:
        first = await one.call("POST", "/systems/emails", EMAIL, idempotency_key="k")
        await one.until_state(first.id, "captured")
        assert (await one.database.write(store.forget, "", "~", 10))[0] == 1
        again = await one.call("POST", "/systems/emails", EMAIL, idempotency_key="k")
        assert (again.status, again.id) == (200, first.id)
        assert "no longer stored" in again.json["message"] and "not sent again" in again.json["message"]
        assert await one.listed() == []
