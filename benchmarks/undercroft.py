"""Ours as a contestant: everything over its HTTP API, the way its users call it."""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.arrivals import Arrivals
from benchmarks.load import Load, load
from benchmarks.measures import Firing, Plan, Rate
from benchmarks.node import Node
from benchmarks.processes import Unable, cpu_seconds
from benchmarks.services import Postgres

DAY = 86_400_000
BULK = 500
JOBS = "/job/bench/jobs"
# More than any server here answers in a second, so that the prepared requests are not used up early.
SINGLES_A_SECOND, BULKS_A_SECOND = 25_000, 200
Job = dict[str, Any]


@dataclass
class Undercroft:
    """One node on the embedded database, or several nodes that share one PostgreSQL."""

    name: str = "Undercroft"
    nodes_on_postgres: int = 0
    lead: float = 3.0

    def open(self, folder: Path) -> None:
        self.token = secrets.token_hex(20)
        self.numbers = count()
        self.postgres = Postgres(folder) if self.nodes_on_postgres else None
        self.nodes: list[Node] = []
        database = self.postgres.address if self.postgres else None
        try:
            for i in range(self.nodes_on_postgres or 1):
                self.nodes.append(Node(folder / f"node-{i}", self.token, database))
        except BaseException:
            self.close()
            raise
        self.route("later", "http://127.0.0.1:9/never")

    def close(self) -> None:
        for node in self.nodes:
            node.stop()
        if self.postgres:
            self.postgres.close()

    @property
    def pids(self) -> list[int]:
        return [node.pid for node in self.nodes] + (self.postgres.pids if self.postgres else [])

    def route(self, name: str, url: str, concurrency: int = 50) -> None:
        """Makes the route, or leaves it as it is."""
        body = {"id": name, "type": "REST", "webhook_url": url, "concurrency": concurrency}
        self.nodes[0].ask("POST", "/route/bench", body)

    def create(self, seconds: float, clients: int = 32) -> Rate:
        singles = int(seconds * SINGLES_A_SECOND)
        requests = [self._post(next(self._later(1))) for _ in range(singles)]
        return self._rate(requests, 1, clients, seconds)

    def bulk(self, seconds: float, clients: int = 4) -> Rate:
        requests = [self._post(list(self._later(BULK))) for _ in range(int(seconds * BULKS_A_SECOND))]
        return self._rate(requests, BULK, clients, seconds)

    def fill(self, pending: int) -> None:
        """Creates so many jobs that are due within a month; clear of the moments at which works fire."""
        requests = (self._post(list(self._later(BULK))) for _ in range(pending // BULK))
        self._load(requests, 4, float("inf"))

    def fire(self, plan: Plan, arrivals: Arrivals) -> Firing:
        """All jobs on one route."""
        self.route("fast", arrivals.url())
        return self.fire_on(plan, arrivals, lambda _: "fast")

    def fire_on(
        self,
        plan: Plan,
        arrivals: Arrivals,
        route: Callable[[int], str],
        beside: Callable[[int], list[Job]] = lambda _: [],
    ) -> Firing:
        """Job n on `route(n)`; `beside(due)` are jobs whose arrivals do not count."""
        arrivals.forget()
        due = time.time_ns() // 1_000_000 + int(self.lead * 1000)
        run = secrets.token_hex(4)
        jobs = [self._job(f"due-{run}-{n}", n, due + n * plan.spacing, route(n)) for n in range(plan.count)]
        jobs += beside(due)
        self._load((self._post(jobs[i : i + BULK]) for i in range(0, len(jobs), BULK)), 4, float("inf"))
        spare = due - time.time_ns() // 1_000_000
        if spare < 0:
            raise Unable(f"it took its jobs in {-spare} ms too late for a lead of {self.lead:g} s")
        cpu = cpu_seconds(self.pids)
        arrivals.all_of(plan)
        return Firing(plan, due, arrivals.list(), cpu_seconds(self.pids) - cpu)

    def job(self, name: str, due: int, route: str) -> Job:
        return self._job(name, 0, due, route)

    def _rate(self, requests: list[bytes], size: int, clients: int, seconds: float) -> Rate:
        cpu = cpu_seconds(self.pids)
        tally = self._load(iter(requests), clients, seconds)
        return Rate(tally.answered * size, tally.seconds, cpu_seconds(self.pids) - cpu)

    def _load(self, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
        return load(self.nodes[0].port, requests, clients, seconds)

    def _post(self, body: Job | list[Job]) -> bytes:
        return self.nodes[0].request("POST", JOBS, body)

    def _later(self, jobs: int) -> Iterator[Job]:
        now = time.time_ns() // 1_000_000
        for _ in range(jobs):
            n = next(self.numbers)
            yield self._job(f"job-{n}", n, now + random.randrange(DAY, 30 * DAY), "later")

    def _job(self, name: str, n: int, due: int, route: str) -> Job:
        meta = {"n": n, "order": f"order-{n}", "note": "payment timeout: release what was reserved"}
        return {"id": name, "trigger_time": due, "meta": meta, "route": route}
