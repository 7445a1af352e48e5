"""Quotas: how many apps a user may have, counted where one is made."""

import asyncio

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ANN, BOB, People
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import quotas
from undercroft.machinery.identity.model import ADMIN_EMAIL
from undercroft.machinery.identity.quotas import Quota

pytestmark = pytest.mark.anyio


async def test_what_is_in_use_and_what_is_left(people: People) -> None:
    await people.make(ANN)
    for _ in range(3):
        await people.database.write(quotas.reserve_app, ANN, 5)
    await people.database.write(quotas.release_app, ANN)

    assert await people.database.read(quotas.quota_of, ANN, 5) == Quota(2, 3)
    await people.database.write(quotas.set_quota, ANN, 1, NOW, ADMIN_EMAIL)
    assert await people.database.read(quotas.quota_of, ANN, 5) == Quota(2, 0)
    assert (await people.refusal(quotas.reserve_app, ANN, 5)).message == "Quota exceeded"
    for _ in range(3):
        await people.database.write(quotas.release_app, ANN)
    assert await people.database.read(quotas.quota_of, ANN, 5) == Quota(0, 1)


async def test_nobody_has_none(people: People) -> None:
    for action, *args in ((quotas.set_quota, 1, NOW, ADMIN_EMAIL), (quotas.quota_of, 5)):
        refusal = await people.refusal(action, BOB, *args)
        assert (refusal.kind, refusal.message) == (Kind.NOT_FOUND, "Quota not found")


async def test_many_at_once_get_no_more_than_there_is(crowd: People) -> None:
    await crowd.make(ANN)

    taken = await asyncio.gather(
        *(crowd.database.write(quotas.reserve_app, ANN, 3) for _ in range(12)), return_exceptions=True
    )

    assert sum(one is None for one in taken) == 3
    assert await crowd.database.read(quotas.quota_of, ANN, 3) == Quota(3, 0)


@pytest.mark.parametrize(("text", "most"), [("0", 0), ("7", 7), ("1000000", 1_000_000), ("-1", 1_000_000)])
def test_numbers(text: str, most: int) -> None:
    assert quotas.read_quota(text) == most


@pytest.mark.parametrize("text", ["", "-", "--1", "-2", "1.5", "1e3", "1000001", "9" * 5_000, "٣", "x", " 1", "1\x00"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        quotas.read_quota(text)
    assert (refused.value.kind, refused.value.message) == (Kind.INVALID, "invalid parameter")
