"""2,000 jobs while servers and databases are killed under them: every promise that was given is kept."""

from collections import Counter
from collections.abc import Callable

import psycopg
import pytest

from tests.nodes.shop import Shop
from tests.nodes.storm import Storm, check_ids
from tests.services.croft import Croft
from tests.services.postgres import Postgres
from tests.services.receiver import Receiver
from tests.services.waiting import wait_until

StartCroft = Callable[..., Croft]
# Until a node counts as gone, and its claims are taken over (s): 10 without a beat, and a round of either loop.
TAKEN_OVER = 20


def test_a_server_that_is_killed_five_times(start_croft: StartCroft, database_url: str, receiver: Receiver) -> None:
    croft = start_croft(database=database_url)
    storm = Storm([croft], receiver)

    with storm.raging():
        for share in (0.1, 0.25, 0.4, 0.6, 0.8):
            storm.wait_for_acknowledged(share)
            croft.kill()
            croft.start()

    storm.check(seconds=30, repeats=True)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_database_that_is_restarted_under_the_server(
    start_croft: StartCroft, postgres: Postgres, postgres_url: str, receiver: Receiver, end: str
) -> None:
    croft = start_croft(database=postgres_url)
    pid = croft.pid
    storm = Storm([croft], receiver)

    with storm.raging():
        for share in (0.2, 0.5, 0.8):
            storm.wait_for_acknowledged(share)
            getattr(postgres, end)()
            postgres.start()

    storm.check(seconds=30, repeats=False)
    assert croft.running and croft.pid == pid


def test_three_nodes_of_which_two_are_killed(start_croft: StartCroft, postgres_url: str, receiver: Receiver) -> None:
    nodes = [start_croft(database=postgres_url) for _ in range(3)]
    storm = Storm(nodes, receiver)

    with storm.raging():
        for node, share in zip(nodes, (0.3, 0.6), strict=False):
            storm.wait_for_acknowledged(share)
            node.kill()

    storm.check(seconds=TAKEN_OVER + 10, repeats=True)


def test_three_nodes_share_the_work_and_double_none(
    start_croft: StartCroft, postgres_url: str, receiver: Receiver
) -> None:
    shops = [Shop(start_croft(database=postgres_url)) for _ in range(3)]
    shops[0].route("hook", receiver.url("/hook"))
    in_ms = 3_000
    for start in range(0, 1_500, 500):
        shops[start // 500].jobs([f"job-{number}" for number in range(start, start + 500)], "hook", in_ms)

    calls = receiver.wait_for(1_500)

    wait_until(lambda: shops[0].count("delivered") == 1_500, "all to be settled")
    assert set(Counter(call.headers["x-undercroft-job"] for call in receiver.calls()).values()) == {1}
    check_ids(calls)
    with psycopg.connect(postgres_url) as connection:
        shares = connection.execute("SELECT count(*) FROM attempts GROUP BY node").fetchall()
    assert len(shares) == 3
    assert sum(count for (count,) in shares) == 1_500
