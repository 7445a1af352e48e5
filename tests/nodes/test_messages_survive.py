"""A send to 5,000 subscribers, killed in the middle: nobody is left out, and nobody is sent a message twice but those
whose outcome was not yet written down at the kill, who see the same webhook-id again."""

import json
import time
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from tests.database.engines import Engine
from tests.services.croft import Croft
from tests.services.receiver import Receiver
from tests.services.waiting import wait_until
from undercroft.machinery.deliveries.settling import MOST_UNSETTLED_OF_LANE

PEOPLE = 5_000
CONCURRENCY = 16


def test_a_send_that_is_killed_in_the_middle(
    start_croft: Callable[..., Croft], database_url: str, receiver: Receiver
) -> None:
    croft = start_croft(database=database_url)
    make_series(croft, receiver)
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda part: subscribe(croft, range(part, PEOPLE, 8)), range(8)))

    assert croft.http.post("/api/v1/schedule/1/send/").status_code == 202
    kills, settled = [], []
    for share in (0.15, 0.5):
        receiver.wait_for(int(PEOPLE * share), seconds=60)
        croft.kill()
        wait_until(lambda: not receiver.is_called, "all that it has sent to be read")
        settled.append(moved_on(database_url))
        kills.append(time.time())
        croft.start()
    receiver.wait_for(PEOPLE, seconds=90)
    wait_until(lambda: all_moved_on(croft), "everybody to have moved on", 60)

    for killed_at, written_down in zip(kills, settled, strict=True):
        later = {json.loads(call.body)["to_addr"] for call in receiver.calls() if call.at > killed_at}
        assert written_down and not written_down & later
    lives = Counter((bisect(kills, call.at), call.headers["webhook-id"]) for call in receiver.calls())
    assert set(lives.values()) == {1}, "one life of the server calls nobody twice"

    seen = defaultdict(list)
    for call in receiver.calls():
        seen[json.loads(call.body)["to_addr"]].append(call.headers["webhook-id"])
    assert len(seen) == PEOPLE
    assert all(len(set(ids)) == 1 for ids in seen.values())
    assert sum(len(ids) - 1 for ids in seen.values()) <= len(kills) * (CONCURRENCY + MOST_UNSETTLED_OF_LANE)


def moved_on(database_url: str) -> set[str]:
    """Those whose outcome is written down, as the database says."""
    engine = Engine(database_url)
    with engine.transaction() as tx:
        rows = tx.all("SELECT identity FROM messaging_subscriptions WHERE next_sequence_number = 2")
    engine.close()
    return {identity for (identity,) in rows}


def make_series(croft: Croft, receiver: Receiver) -> None:
    route = {"name": "hook", "url": receiver.url("/outbound/"), "concurrency": CONCURRENCY}
    messageset = {"short_name": "news", "default_schedule": 1, "channel": "webhook:hook"}
    for path, body in (("routes", route), ("schedule", {"minute": "0", "hour": "8"}), ("messageset", messageset)):
        croft.http.post(f"/api/v1/{path}/", json=body).raise_for_status()
    for number in (1, 2):
        message = {"messageset": 1, "sequence_number": number, "lang": "eng", "text_content": f"news {number}"}
        croft.http.post("/api/v1/message/", json=message).raise_for_status()


def subscribe(croft: Croft, numbers: range) -> None:
    """On one connection of the plainest client: what is measured here is another thing."""
    connection = HTTPConnection("127.0.0.1", croft.port, timeout=30)
    headers = {"Authorization": f"Token {croft.token}", "Content-Type": "application/json"}
    for n in numbers:
        body = {"identity": f"+27820{n:06d}", "messageset": 1, "schedule": 1, "lang": "eng"}
        connection.request("POST", "/api/v1/subscriptions/", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
    connection.close()


def all_moved_on(croft: Croft) -> bool:
    page = croft.http.get("/api/v1/subscriptions/", params={"next_sequence_number": "1"}).json()
    return not page["results"]
