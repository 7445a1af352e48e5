"""Who searches much leaves readers to the others, and the writer."""

import asyncio
from typing import Any

import pytest

from tests.families.messaging.house import NOW, House
from undercroft.base.clock import DAY
from undercroft.families.messaging import behind, forwarding
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


async def test_searches_that_are_asked_for_often_are_few(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "PER_STEP", 1)

    async def ask(times: int) -> int:
        for _ in range(times):
            assert (await house.call("POST", "behind-subscriptions/find_behind_subscriptions/")).status == 202
        [[count]] = await house.database.read(lambda tx: tx.all("SELECT COUNT(*) FROM messaging_runs"))
        return int(count)

    late = [await house.subscribe("ann"), await house.subscribe("bob")]
    house.clock.now += 5 * DAY
    assert await ask(5) == 1
    late.append(await house.subscribe("cat"))
    assert await ask(1) == 1, "it looks at her, too"
    [search] = [loop for loop in house.parts.loops if loop.name == "who is behind"]
    await search.step(house.clock())
    assert await ask(5) == 2, "one is under way, another waits"
    while await search.step(house.clock()):
        pass
    found = [one["subscription_id"] for one in (await house.get("behind-subscriptions/"))["results"]]
    assert sorted(found) == sorted(2 * late[:2]), "who was subscribed a moment ago is not behind"


async def test_a_search_that_somebody_makes_longer_meanwhile_is_not_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.subscribe("ann")
    house.clock.now += 5 * DAY
    await house.call("POST", "behind-subscriptions/find_behind_subscriptions/")
    really_read, second = house.database.read, []

    async def read(query: Any, *args: Any) -> Any:
        answer = await really_read(query, *args)
        if query is behind._look and not second:
            second.append(await house.subscribe("bob"))
            await house.database.write(lambda tx: tx.run("UPDATE messaging_subscriptions SET created_at = :at", at=NOW))
            await house.call("POST", "behind-subscriptions/find_behind_subscriptions/")
        return answer

    monkeypatch.setattr(house.database, "read", read)
    [search] = [loop for loop in house.parts.loops if loop.name == "who is behind"]
    while await search.step(house.clock()):
        pass
    found = [one["subscription_id"] for one in (await house.get("behind-subscriptions/"))["results"]]
    assert sorted(found) == sorted([first, *second])


async def test_who_is_brought_forward_is_reckoned_before_the_write(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more where its set changes in between."""
    for number in (3, 4):
        await house.made("message/", messageset=1, sequence_number=number, lang="eng", text_content="x")
    id = await house.subscribe()
    house.clock.now += 3 * DAY
    really_write, writing, reckoned = house.database.write_once, [], []
    really_reckon = forwarding.standing_of

    async def write_once(action: Any, *args: Any) -> Any:
        if action is not forwarding.put_forward:
            return await really_write(action, *args)
        if len(reckoned) == 1:
            await asyncio.create_task(house.call("DELETE", "message/3/"))
        writing.append(action)
        try:
            return await really_write(action, *args)
        finally:
            writing.clear()

    def standing_of(*args: Any) -> Any:
        reckoned.append(bool(writing))
        return really_reckon(*args)

    monkeypatch.setattr(house.database, "write_once", write_once)
    monkeypatch.setattr(forwarding, "standing_of", standing_of)
    assert (await house.call("POST", f"subscriptions/{id}/fast-forward")).json == {"subscriptions": [id]}
    assert reckoned == [False, False]
    one = await house.subscription(id)
    assert (one["next_sequence_number"], one["completed"]) == (4, True)


async def test_what_changes_each_time_is_not_brought_forward(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await house.subscribe()
    house.clock.now += DAY
    really_read, labels = house.database.read, iter(range(100))

    async def read(query: Any, *args: Any) -> Any:
        answer = await really_read(query, *args)
        if query is forwarding.reckon:
            await asyncio.create_task(house.call("PATCH", "messageset/1/", {"label": str(next(labels))}))
        return answer

    monkeypatch.setattr(house.database, "read", read)
    answer = await house.call("POST", f"subscriptions/{id}/fast-forward")
    assert answer.status == 409 and "Try again" in answer.json["detail"]
    assert (await house.subscription(id))["next_sequence_number"] == 1
