"""Recurring jobs by a clock of the test: each moment of the schedule fires once, missed ones together once, and what
is changed or deleted stops."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.families.timers.shop import OK, Shop
from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import DAY, HOUR, MINUTE, SECOND

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")
HALF_HOUR = 30 * MINUTE


def ms(moment: str) -> int:
    """Of a local time in Berlin, with its offset where it is there twice."""
    parsed = datetime.fromisoformat(moment)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=BERLIN)).timestamp() * 1_000)


def local(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000, BERLIN).isoformat()


async def recurring(shop: Shop, cron: str = "* * * * *", **fields: object) -> None:
    answer = await shop.post("tick", None, cron=cron, **fields)
    assert answer.json == OK


async def play(shop: Shop, begin: int, end: int, step: int = MINUTE) -> list[int]:
    """The moments at which something was sent."""
    before = len(shop.transport.at)
    for moment in range(begin, end, step):
        await shop.at(moment)
    return shop.transport.at[before:]


async def test_each_moment_fires_once_as_a_job_of_its_own(shop: Shop) -> None:
    await recurring(shop, meta={"n": 1})
    assert (await shop.detail("tick"))["next_attempt"] == NOW + MINUTE

    assert await play(shop, NOW, NOW + 4 * MINUTE, 20 * SECOND) == [NOW + n * MINUTE for n in (1, 2, 3)]

    assert shop.transport.jobs == [f"tick@2023-11-14T10:0{n}:00Z" for n in (1, 2, 3)]
    assert len({webhook_id for _, webhook_id, _ in shop.transport.sent}) == 3
    run = await shop.detail(shop.transport.jobs[0])
    assert (run["state"], run["meta"], run["trigger_time"], run["cron"]) == ("delivered", {"n": 1}, NOW + MINUTE, None)
    tick = await shop.detail("tick")
    assert (tick["state"], tick["next_attempt"]) == ("scheduled", NOW + 4 * MINUTE)


async def test_missed_moments_are_made_up_for_by_one_run(shop: Shop) -> None:
    await recurring(shop)

    await shop.at(NOW + 3 * HOUR + 30 * SECOND)
    assert shop.transport.jobs == ["tick@2023-11-14T10:01:00Z"]

    assert await play(shop, NOW + 3 * HOUR + MINUTE, NOW + 3 * HOUR + 3 * MINUTE) == [
        NOW + 3 * HOUR + MINUTE,
        NOW + 3 * HOUR + 2 * MINUTE,
    ]


@pytest.mark.parametrize("what", ["/route/shop/hook", "/collection/shop/orders"])
async def test_moments_missed_in_a_pause_are_made_up_for_by_one_run(shop: Shop, what: str) -> None:
    await recurring(shop)
    await shop.call("POST", f"{what}/pause")
    assert await play(shop, NOW, NOW + 10 * MINUTE) == []

    await shop.call("POST", f"{what}/resume")
    sent = await play(shop, NOW + 10 * MINUTE + SECOND, NOW + 12 * MINUTE)

    assert sent == [NOW + 10 * MINUTE + SECOND, NOW + 11 * MINUTE + SECOND]


async def test_a_clock_that_is_set_back_repeats_nothing(shop: Shop) -> None:
    await recurring(shop)
    await play(shop, NOW, NOW + 3 * MINUTE)
    assert len(shop.transport.sent) == 2

    assert await play(shop, NOW - HOUR, NOW + 3 * MINUTE) == []
    assert await play(shop, NOW + 3 * MINUTE, NOW + 4 * MINUTE) == [NOW + 3 * MINUTE]


async def test_a_run_that_fails_is_tried_again_while_the_next_ones_come(shop: Shop) -> None:
    await shop.route(retries=[90.0])
    shop.transport.status["hook"] = 500
    await recurring(shop)

    await play(shop, NOW, NOW + 4 * MINUTE, 10 * SECOND)

    first = "tick@2023-11-14T10:01:00Z"
    assert shop.transport.jobs.count(first) == 2
    assert set(shop.transport.jobs) == {first, first.replace(":01:", ":02:"), first.replace(":01:", ":03:")}


async def test_a_job_of_its_own_retries_gives_them_to_its_runs(shop: Shop) -> None:
    shop.transport.status["hook"] = 500
    await recurring(shop, cron="0 * * * *", retries=[1.0, 1.0])

    await play(shop, NOW + HOUR, NOW + HOUR + 10 * SECOND, SECOND)

    assert [attempts for _, _, attempts in shop.transport.sent] == [0, 1, 2]


async def test_deleting_it_ends_its_runs_too(shop: Shop) -> None:
    await shop.route(retries=[1.0] * 9)
    shop.transport.status["hook"] = 500
    await recurring(shop)
    await shop.at(NOW + MINUTE)
    assert len(shop.transport.sent) == 1
    assert len(await shop.listed()) == 2

    assert (await shop.delete("tick")).json == OK

    assert await play(shop, NOW + MINUTE, NOW + 5 * MINUTE, 10 * SECOND) == []
    assert await shop.listed() == []


@pytest.mark.parametrize("how", ["delete", "put", "upsert", "delete many"])
async def test_while_a_run_is_under_way_it_is_left_alone(shop: Shop, how: str) -> None:
    await recurring(shop)
    shop.transport.hanging.add("hook")
    await shop.at(NOW + MINUTE)

    if how == "delete":
        assert (await shop.delete("tick")).code == "E010"
    elif how == "put":
        assert (await shop.put("tick", meta=2)).code == "E010"
    elif how == "upsert":
        assert (await shop.post("tick", None, cron="5 * * * *", query="?upsert=1")).code == "E010"
    else:
        answer = await shop.call("DELETE", "/job/shop/orders?all=1")
        assert (answer.json["deleted"], answer.json["in_flight"]) == (0, 2)

    shop.transport.go_on.set()
    await shop.let_go_on()
    assert (await shop.detail("tick"))["cron"] == "* * * * *"
    assert (await shop.delete("tick")).json == OK


async def test_what_was_delivered_stays_when_it_is_deleted(shop: Shop) -> None:
    await recurring(shop)
    await shop.at(NOW + MINUTE)
    await shop.delete("tick")

    assert [job["state"] for job in await shop.listed()] == ["delivered"]


async def test_changing_it_ends_the_runs_of_the_old_schedule(shop: Shop) -> None:
    await shop.route(retries=[30.0] * 9)
    shop.transport.status["hook"] = 500
    await recurring(shop)
    await shop.at(NOW + MINUTE)

    assert (await shop.put("tick", cron="0 12 * * *")).json == OK
    assert await play(shop, NOW + MINUTE, NOW + 10 * MINUTE, 10 * SECOND) == []
    assert (await shop.detail("tick"))["next_attempt"] == NOW + 2 * HOUR

    assert (await shop.put("tick", trigger_time=NOW + HOUR)).json == OK
    once = await shop.detail("tick")
    assert (once["cron"], once["next_attempt"]) == (None, NOW + HOUR)
    shop.transport.status["hook"] = 200
    await shop.at(NOW + HOUR)
    assert shop.transport.jobs[-1] == "tick"
    assert await play(shop, NOW + HOUR + MINUTE, NOW + 30 * HOUR, HOUR) == []


async def test_a_one_shot_job_becomes_recurring(shop: Shop) -> None:
    await shop.post("tick", NOW + DAY)

    assert (await shop.put("tick", cron="30 * * * *")).json == OK

    assert (await shop.detail("tick"))["next_attempt"] == NOW + 30 * MINUTE
    assert await play(shop, NOW, NOW + 2 * HOUR, 10 * MINUTE) == [NOW + 30 * MINUTE, NOW + 90 * MINUTE]


async def test_another_timezone_counts_from_now_on(shop: Shop) -> None:
    """Nine o'clock in Tokyo comes before nine o'clock in Berlin."""
    await recurring(shop, cron="0 9 * * *", timezone="Europe/Berlin")
    assert (await shop.detail("tick"))["next_attempt"] == NOW + 22 * HOUR

    assert (await shop.put("tick", timezone="Asia/Tokyo")).json == OK

    assert (await shop.detail("tick"))["next_attempt"] == NOW + 14 * HOUR


async def test_a_name_that_is_taken_is_numbered(shop: Shop) -> None:
    """By somebody's own job of that name."""
    await shop.post("tick@2023-11-14T10:01:00Z", NOW + DAY)
    await recurring(shop)

    await shop.at(NOW + MINUTE)

    assert shop.transport.jobs == ["tick@2023-11-14T10:01:00Z#2"]
    assert (await shop.detail("tick@2023-11-14T10:01:00Z"))["state"] == "scheduled"


async def test_where_every_number_is_taken_it_runs_all_the_same(shop: Shop) -> None:
    first = "tick@2023-11-14T10:01:00Z"
    taken = [first, *(f"{first}#{number}" for number in range(2, 1_200))]
    jobs = [{"id": id, "trigger_time": NOW + DAY, "route": "hook"} for id in taken]
    assert (await shop.call("POST", "/job/shop/orders", jobs)).status == 200
    await recurring(shop)

    await shop.at(NOW + MINUTE)

    [run] = shop.transport.jobs
    assert run.startswith(f"{first}#") and run not in taken


async def test_runs_of_the_longest_id(shop: Shop) -> None:
    id = "é" * 256
    assert (await shop.post(id, None, cron="* * * * *")).json == OK

    await shop.at(NOW + MINUTE)

    [run] = shop.transport.jobs
    assert run.startswith(id)
    assert (await shop.detail(run))["state"] == "delivered"
    assert (await shop.delete(run)).json == OK


async def test_it_begins_at_its_trigger_time(shop: Shop) -> None:
    answer = await shop.post("tick", NOW + HOUR, cron="* * * * *")
    assert answer.json == OK

    assert (await shop.detail("tick"))["next_attempt"] == NOW + HOUR


async def test_without_a_route_it_dies_and_is_replayed_when_there_is_one_again(shop: Shop) -> None:
    await recurring(shop)
    await shop.call("DELETE", "/route/shop/hook?force=1")
    await shop.at(NOW + MINUTE)
    assert (await shop.detail("tick"))["state"] == "dead"
    assert await play(shop, NOW + 2 * MINUTE, NOW + 5 * MINUTE) == []

    await shop.route()
    assert (await shop.call("POST", "/dead/shop/replay", {"ids": ["tick"]})).json["replayed"] == 1
    await shop.at(NOW + 10 * MINUTE)
    assert len(shop.transport.sent) == 1
    assert (await shop.detail("tick"))["next_attempt"] == NOW + 11 * MINUTE


async def test_the_day_that_skips_an_hour_and_the_day_that_has_it_twice(shop: Shop) -> None:
    """02:30 in Berlin: on 31 March 2024 it is not there, on 27 October twice."""
    await recurring(shop, cron="30 2 * * *", timezone="Europe/Berlin")

    async def nights(*days: str) -> list[str]:
        sent = [
            moment for day in days for moment in await play(shop, ms(f"{day}T01:30"), ms(f"{day}T05:00"), HALF_HOUR)
        ]
        return [local(moment) for moment in sent]

    await nights("2024-03-29")  # what was missed since the job was made
    assert await nights("2024-03-30", "2024-03-31", "2024-04-01") == [
        "2024-03-30T02:30:00+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-04-01T02:30:00+02:00",
    ]
    await nights("2024-10-25")
    assert await nights("2024-10-26", "2024-10-27", "2024-10-28") == [
        "2024-10-26T02:30:00+02:00",
        "2024-10-27T02:30:00+02:00",
        "2024-10-28T02:30:00+01:00",
    ]


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [
        ("", None),
        ("* * * *", None),
        ("60 * * * *", None),
        ("* * * * * * *", None),
        ("every minute", None),
        ("* * * * *", "Mars/Olympus"),
        ("* * * * *", ""),
        ("* * * * *", "../../etc/passwd"),
        ("* * * * *", "x" * 10_000),
        ("* " * 300, None),
        ("0 0 30 2 *", None),
    ],
)
async def test_what_is_no_schedule(shop: Shop, cron: str, timezone: str | None) -> None:
    answer = await shop.post("tick", None, cron=cron, timezone=timezone)

    if timezone == "":
        assert answer.code in (None, "E021")
        return
    assert answer.code == "E021"
    assert len(answer.json["error"]) < 500


async def test_a_timezone_goes_with_a_schedule(shop: Shop) -> None:
    assert (await shop.post("a", NOW + HOUR, timezone="Europe/Berlin")).code == "E021"
