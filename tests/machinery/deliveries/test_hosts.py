"""What one host may have claimed, however many routes lead there."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.machinery.deliveries.making import NOW, Clock, make_target
from tests.machinery.deliveries.rig import Rig, running
from undercroft.machinery.deliveries.hosts import Hosts
from undercroft.machinery.deliveries.lanes import Lanes
from undercroft.machinery.deliveries.model import State, Target, TargetSettings
from undercroft.machinery.deliveries.webhook import WebhookTransport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with running(database_url, Clock()) as rig:
        rig.courier.lanes = Lanes(Hosts(10))
        rig.transport.host = lambda target: target.name.partition("/")[0]  # type: ignore[method-assign]
        yield rig


async def test_many_routes_to_a_slow_host_leave_it_its_limit_and_take_turns(rig: Rig) -> None:
    for number in range(30):
        await rig.make(5, f"slow/{number}", concurrency=4, prefix=f"slow{number}-")
        rig.transport.hanging.add(f"slow/{number}")
    await rig.make(20, "quick/1", concurrency=32, prefix="quick-")

    await rig.fire()

    assert sum(rig.transport.under_way.values()) <= 10
    assert (await rig.states())[State.SENDING] == 10
    assert sum(name.startswith("quick") for name in rig.transport.jobs) == 20

    rig.transport.go_on.set()
    await rig.fire()

    assert set(Counter(rig.transport.jobs).values()) == {1}
    assert await rig.states() == {State.DELIVERED: 170}
    assert rig.courier.lanes._hosts._claimed == {}
    assert rig.courier.lanes._hosts._waiting == {}


async def test_routes_of_one_host_share_it(rig: Rig) -> None:
    """The one that came last does not wait until all the others are done."""
    await rig.make(200, "host/crowded", concurrency=5, prefix="crowded-")
    await rig.make(1, "host/late", concurrency=5, prefix="late-")

    await rig.fire()

    assert rig.transport.jobs.index("late-0") < 40


def test_a_lane_that_leads_elsewhere_now_takes_along_what_it_has_claimed() -> None:
    hosts = Hosts(10)
    hosts.learn(1, "a", 1, claimed=0)
    hosts.add(1, 4)

    hosts.learn(1, "b", 1, claimed=4)

    hosts.learn(2, "a", 1, claimed=0)
    assert (hosts.room(1, 99), hosts.room(2, 99)) == (6, 10)
    hosts.learn(1, None, 1, claimed=4)
    assert hosts.room(1, 99) == 99
    assert hosts._claimed == {}


def test_none_waits_for_a_host_that_has_room() -> None:
    """Neither behind one that may not go on for its rate, nor behind one that leads elsewhere now."""
    for rate, moves in ((1, False), (None, True)):
        lanes = Lanes(Hosts(2))
        for lane in (1, 2, 3):
            lanes.add([(NOW, 10 * lane + number, lane) for number in range(2)])
            limited = limits(lane, rate if lane == 2 else None)
            lanes.learn(lane, limited, 1, "host")
        taken = lanes.take(NOW, 500)
        assert [entry[2] for entry in taken] == [1, 1]
        assert lanes.take(NOW, 500) == []
        if moves:
            lanes.learn(1, limits(1, None), 1, "elsewhere")
            assert [entry[2] for entry in lanes.take(NOW, 500)] == [2, 2]
            assert lanes.take(NOW, 500) == []
            continue
        lanes.lane(2).allowance_at, lanes.lane(2).allowance = NOW, 0.0
        for _ in taken:
            lanes.done(1)
        assert [entry[2] for entry in lanes.take(NOW, 500)] == [3, 3]


def limits(id: int, rate: int | None) -> Target:
    return Target(id, "timers", "shop", f"t{id}", "webhook", TargetSettings(), 32, rate, None, None, None, 1)


def test_nodes_share_the_limit_and_each_may_do_something() -> None:
    hosts = Hosts(10)
    for nodes, room in ((1, 10), (3, 3), (40, 1)):
        hosts.learn(1, "a", nodes, claimed=0)
        assert hosts.room(1, 99) == room


async def test_the_host_of_a_webhook_is_its_name_and_port(rig: Rig) -> None:
    urls = ["http://shop.test/a", "http://shop.test:80/b?c", "https://SHOP.test/", "http://shop.test:8080/"]
    targets = [await rig.database.write(make_target, f"t{number}", url=url) for number, url in enumerate(urls)]

    assert [WebhookTransport.host(target) for target in targets] == [
        "shop.test:80",
        "shop.test:80",
        "shop.test:443",
        "shop.test:8080",
    ]
