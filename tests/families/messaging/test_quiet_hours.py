"""When messages may not leave: quiet hours, of a set and of a receiver."""

import pytest

from tests.families.messaging.house import EIGHT, House
from undercroft.base.clock import DAY, HOUR, MINUTE

pytestmark = pytest.mark.anyio


async def test_quiet_hours_and_the_receivers_own_eight_o_clock(house: House) -> None:
    await house.made("identities/", id="tokyo", timezone="Asia/Tokyo", addresses=["+8190000001"])
    await house.made("identities/", id="lagos", timezone="Africa/Lagos", addresses=["+2348000001"])
    await house.subscribe("tokyo")
    await house.subscribe("lagos")
    await house.at(EIGHT)
    assert house.receiver.said == []
    await house.at(EIGHT + 15 * HOUR - 1)
    assert house.receiver.said == []
    await house.at(EIGHT + 15 * HOUR)
    assert house.receiver.said == [("+8190000001", "one")]
    await house.at(EIGHT + 23 * HOUR)
    assert house.receiver.said[1:] == [("+2348000001", "one")]
    await house.call("PATCH", "messageset/1/", {"quiet_from": "21:00", "quiet_until": "08:30"})
    id = await house.subscribe("+27820001001")
    await house.at(EIGHT + DAY)
    assert len(house.receiver.sent) == 2
    await house.at(EIGHT + DAY + 30 * MINUTE)
    assert ("+27820001001", "one") in house.receiver.said
    assert (await house.subscription(id))["next_sequence_number"] == 2


async def test_a_night_without_the_hour_of_a_schedule(house: House) -> None:
    """28 March 2027 has no 02:30 in Berlin: who lives there is written to at 03:00, as a schedule there would fire."""
    night = 1_806_192_000_000  # 00:00 UTC; 02:00 becomes 03:00 at 01:00
    house.clock.now = night - DAY
    await house.call("PATCH", "schedule/1/", {"minute": "30", "hour": "2"})
    await house.made("identities/", id="berlin", timezone="Europe/Berlin", addresses=["+4930000001"])
    await house.subscribe("berlin")
    await house.at(night - DAY + 2 * HOUR + 30 * MINUTE)
    await house.at(night + HOUR - 1)
    assert house.receiver.said == []
    await house.at(night + HOUR)
    assert house.receiver.said == [("+4930000001", "one")]


async def test_quiet_hours_that_end_when_they_begin_are_refused(house: House) -> None:
    wrong = {"quiet_until": ["Quiet hours that end when they begin are none. Give another time, or null for both."]}
    same = {"quiet_from": "08:00", "quiet_until": "08:00"}
    answer = await house.call("POST", "messageset/", {"short_name": "calm", "default_schedule": 1, **same})
    assert (answer.status, answer.json) == (400, wrong)
    await house.call("PATCH", "messageset/1/", {"quiet_from": "08:00", "quiet_until": "09:00"})
    assert (await house.call("PATCH", "messageset/1/", {"quiet_until": "08:00"})).json == wrong
    await house.database.write(lambda tx: tx.run("UPDATE messaging_sets SET quiet_until = quiet_from"))
    assert (await house.call("PATCH", "messageset/1/", {"label": "from before"})).status == 200
    await house.subscribe()
    await house.at(EIGHT)
    assert len(house.receiver.sent) == 1, "those of before keep nothing back"


async def test_quiet_hours_of_a_send_by_hand_are_the_schedules(house: House) -> None:
    await house.call("PATCH", "schedule/1/", {"timezone": "Asia/Tokyo", "day_of_month": "29", "month_of_year": "2"})
    await house.call("PATCH", "messageset/1/", {"quiet_from": "21:00", "quiet_until": "07:00"})
    id = await house.subscribe()
    await house.at(EIGHT + 6 * HOUR)  # 14:00 in London's winter, 23:00 in Tokyo
    assert (await house.call("POST", f"subscriptions/{id}/send")).status == 201
    await house.go_on()
    assert house.receiver.said == []
    await house.at(EIGHT + 14 * HOUR)
    assert house.receiver.said == [("+27820001001", "one")]
