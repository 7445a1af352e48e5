"""Who searches much leaves readers to the others."""

import asyncio

import pytest

from tests.families.messaging.house import House
from undercroft.families.messaging.http.entering import MOST_SEARCHES, Doorway

pytestmark = pytest.mark.anyio


async def test_so_many_search_at_once_and_whoever_asks_for_a_plain_list_waits_for_none_of_them() -> None:
    door, found = Doorway(None), list[int]()  # type: ignore[arg-type]
    is_over = asyncio.Event()

    async def search(number: int) -> None:
        async with door.searching(["a condition"]):
            found.append(number)
            await is_over.wait()

    searches = [asyncio.create_task(search(number)) for number in range(MOST_SEARCHES + 3)]
    for _ in range(5):
        await asyncio.sleep(0)
    async with door.searching([]):
        assert len(found) == MOST_SEARCHES
    is_over.set()
    await asyncio.gather(*searches)
    assert len(found) == MOST_SEARCHES + 3


async def test_filtered_lists_are_searches(house: House) -> None:
    id = await house.subscribe(metadata={"color": "red"})
    for query in ("?lang=eng", "?metadata_has_key=color", ""):
        assert [one["id"] for one in (await house.get(f"subscriptions/{query}"))["results"]] == [id]
