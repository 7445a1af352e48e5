"""A real server that is killed (-9) again and again while mails go out to a real relay: each that was acknowledged
arrives, and only one that was under way at a kill may arrive twice."""

import random
import threading
from collections import Counter
from collections.abc import Callable

import httpx

from tests.services.croft import Croft
from tests.services.mailserver import MailServer
from tests.services.waiting import wait_until

KILLS = 4


class Writers(threading.Thread):
    """Sends mails, each under a key of its own until it is acknowledged, and notes their ids."""

    def __init__(self, croft: Croft, number: int) -> None:
        super().__init__(daemon=True)
        self.croft, self.number = croft, number
        self.acknowledged: dict[str, str] = {}
        """Recipient → id."""
        self.stopping = threading.Event()

    def run(self) -> None:
        count = 0
        while not self.stopping.is_set():
            recipient = f"w{self.number}-{count}@example.com"
            email = {"to": recipient, "subject": "s", "body": "b", "idempotency_key": recipient}
            try:
                answer = self.croft.http.post("/systems/emails", json=email)
            except httpx.TransportError:
                self.stopping.wait(0.02)
                continue
            if answer.status_code in (200, 202):
                self.acknowledged[recipient] = answer.headers["x-email-id"]
                count += 1


def test_each_mail_arrives_though_the_server_is_killed(
    start_croft: Callable[..., Croft], database_url: str, relay: MailServer
) -> None:
    croft = start_croft(
        database=database_url,
        environment={
            "UNDERCROFT_SMTP_URL": relay.url,
            "UNDERCROFT_MAIL_FROM": "house@home.example",
            "UNDERCROFT_MAIL_RETRIES": ",".join(["1s"] * 30),
        },
    )
    writers = [Writers(croft, n) for n in range(4)]
    for writer in writers:
        writer.start()
    for kill in range(KILLS):
        before = len(relay.arrived())
        relay.cut_in_data += 2
        wait_until(lambda before=before: len(relay.arrived()) >= before + random.randrange(10, 40), "some mails")  # type: ignore[misc]
        croft.kill()
        if kill == 1:
            relay.stop()
        croft.start()
        if kill == 1:
            relay.start()
    for writer in writers:
        writer.stopping.set()
    for writer in writers:
        writer.join(30)
    promised = {to: id for writer in writers for to, id in writer.acknowledged.items()}
    assert len(promised) > 10 * KILLS
    wait_until(lambda: promised.keys() <= {one.recipient for one in relay.arrived()}, "every mail", 30)
    ids = {one.recipient: one.id for one in relay.arrived()}
    assert {to: ids[to] for to in promised} == {to: f"<{id}@home.example>" for to, id in promised.items()}
    twice = [to for to, count in Counter(one.recipient for one in relay.arrived()).items() if count > 1]
    assert len(twice) <= 8 * KILLS, "no more than can be under way at a kill: so many connections, so many calls"
    wait_until(lambda: not croft.http.get("/systems/emails?state=queued").json()["emails"], "nothing waits")
    assert croft.http.get("/systems/emails?state=failed").json()["emails"] == []
