"""Staged messaging as a contestant: a series on a webhook, its subscribers, one firing."""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.arrivals import Arrivals
from benchmarks.load import load
from benchmarks.measures import Firing, Plan, Rate
from benchmarks.node import Node
from benchmarks.processes import cpu_seconds

CLIENTS = 32
API = "/api/v1/"
# More than any server here answers in a second.
MOST_A_SECOND = 15_000


@dataclass
class Messages:
    name: str = "Undercroft"

    def open(self, folder: Path) -> None:
        self.numbers = count()
        self.node = Node(folder / "node", secrets.token_hex(20))
        self.node.ask("POST", API + "schedule/", {"minute": "0", "hour": "3", "month_of_year": "2"})

    def close(self) -> None:
        self.node.stop()

    def series(self, url: str) -> None:
        """Two messages whose text carries the number that the receiver looks for."""
        ask = self.node.ask
        ask("POST", API + "routes/", {"name": "out", "url": url, "concurrency": 50})
        ask("POST", API + "messageset/", {"short_name": "news", "default_schedule": 1, "channel": "webhook:out"})
        for number in (1, 2):
            words = {"messageset": 1, "sequence_number": number, "lang": "eng", "text_content": "Drink enough water."}
            ask("POST", API + "message/", {**words, "metadata": {"n": number}})

    def create(self, seconds: float) -> Rate:
        return self._rate((self._subscription() for _ in range(int(seconds * MOST_A_SECOND))), seconds)

    def read(self, seconds: float) -> Rate:
        listed = self.node.ask("GET", API + "subscriptions/")["results"]
        one = self.node.request("GET", f"{API}subscriptions/{listed[0]['id']}/")
        return self._rate((one for _ in range(int(seconds * MOST_A_SECOND))), seconds)

    def subscribe(self, people: int) -> None:
        load(self.node.port, (self._subscription() for _ in range(people)), CLIENTS)

    def fill(self, people: int) -> None:
        """So many subscriptions, put into the database while the server stands still."""
        self.node.stop()
        with sqlite3.connect(self.node.folder / "data" / "undercroft.db") as database:
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO messaging_subscriptions (id, namespace, version, identity, messageset,"
                " next_sequence_number, lang, active, completed, schedule, process_status, initial_sequence_number,"
                " created_at, updated_at)"
                " SELECT printf('%08x-0000-4000-8000-%012x', i, i), '@admin', 1, printf('+27%09d', i), 1, 1, 'eng',"
                " 1, 0, 1, 0, 1, 0, 0 FROM n",
                (people,),
            )
        self.node.start()

    def fire(self) -> float:
        """When it was asked for, in epoch ms."""
        asked = time.time() * 1000
        self.node.ask("POST", API + "schedule/1/send/")
        return asked

    def send(self, people: int, arrivals: Arrivals) -> Firing:
        """From the POST to the last arrival."""
        arrivals.forget()
        cpu = cpu_seconds([self.node.pid])
        asked = self.fire()
        plan = Plan(people)
        arrivals.all_of(plan)
        moments = [(n, at) for n, (_, at) in enumerate(arrivals.list())]
        return Firing(plan, asked, moments, cpu_seconds([self.node.pid]) - cpu)

    def _rate(self, requests: Iterator[bytes], seconds: float) -> Rate:
        prepared = list(requests)
        cpu = cpu_seconds([self.node.pid])
        tally = load(self.node.port, iter(prepared), CLIENTS, seconds)
        return Rate(tally.answered, tally.seconds, cpu_seconds([self.node.pid]) - cpu)

    def _subscription(self) -> bytes:
        body = {"identity": f"+2782{next(self.numbers):07d}", "messageset": 1, "schedule": 1, "lang": "eng"}
        return self.node.request("POST", API + "subscriptions/", body)
