"""Clients that create and delete jobs whatever happens to the servers, and the ledger of what they were promised."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.services.croft import Croft
from tests.services.receiver import Answer, Call, Receiver
from tests.services.waiting import wait_until

JOBS = 2_000
CLIENTS = 6
BULK = 25
SPREAD_MS = 6_000
PATH = "/job/storm/jobs"
IN_FLIGHT, UNKNOWN_JOB = "E010", "E008"


class Ledger:
    """What was answered, and when, in seconds since 1970."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.gone_since: dict[str, float] = {}
        self.unsure: set[str] = set()
        """A DELETE had no answer, and the next one found them in somebody's hands: it may have been its own."""
        self.deleted = 0
        self.refused_in_flight = 0


class Storm:
    """`JOBS` jobs by `CLIENTS` clients, half of them in bulks; each request is repeated until it is answered."""

    def __init__(self, servers: list[Croft], receiver: Receiver, seed: int = 3862) -> None:
        receiver.default = Answer(delay=0.3)  # so that at any moment many are under way
        self.ledger = Ledger()
        self._servers = servers
        self._receiver = receiver
        self._random = random.Random(seed)
        self._ending = threading.Event()
        self._faults: list[BaseException] = []
        self._seen: set[str] = set()
        self._looked_at = 0
        names = [f"job-{number:04}" for number in range(JOBS)]
        self._to_delete = set(self._random.sample(names, JOBS // 8))
        singles, rest = names[: JOBS // 2], names[JOBS // 2 :]
        work = [[name] for name in singles] + [rest[at : at + BULK] for at in range(0, len(rest), BULK)]
        self._random.shuffle(work)
        self._shares = [work[client::CLIENTS] for client in range(CLIENTS)]

    @contextmanager
    def raging(self) -> Iterator[None]:
        """Clients are at work inside, and done at the end; raises what one of them met that may not be."""
        self._servers[0].http.post(
            "/route/storm",
            json={"id": "hook", "type": "REST", "webhook_url": self._receiver.url("/hook"), "concurrency": 300},
        ).raise_for_status()
        threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), "a client is not done"
        finally:
            self._ending.set()
        if self._faults:
            raise self._faults[0]

    def wait_for_acknowledged(self, share: float) -> None:
        """Until this share of the jobs is acknowledged, with some of them still to be delivered."""
        wait_until(lambda: len(self.ledger.acknowledged) >= share * JOBS or bool(self._faults), f"{share} of the jobs")
        assert len(self.ledger.acknowledged - self.ledger.gone_since.keys()) > len(self._arrived())

    def check(self, seconds: float, *, repeats: bool) -> None:
        """Every promise was kept, as soon as all has arrived; `repeats`: also of what was under way at a kill."""
        ledger = self.ledger
        assert len(ledger.acknowledged) == JOBS
        assert ledger.deleted > JOBS // 50, "so few were deleted that it shows nothing"
        expected = ledger.acknowledged - ledger.gone_since.keys() - ledger.unsure
        wait_until(lambda: expected <= self._arrived(), "all that was acknowledged", seconds)
        calls = self._receiver.calls("/hook")
        late = [
            call for call in calls if call.at > ledger.gone_since.get(call.headers["x-undercroft-job"], float("inf"))
        ]
        assert late == [], "arrived after it was deleted"
        check_ids(calls)
        assert len(calls) > len(self._seen) or not repeats, "nothing was under way at any of the ends"

    def _arrived(self) -> set[str]:
        for call in self._receiver.calls("/hook")[self._looked_at :]:
            self._seen.add(call.headers["x-undercroft-job"])
            self._looked_at += 1
        return self._seen

    # One client

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with httpx.Client(headers=self._servers[0].http.headers, timeout=20, trust_env=False) as client:
                for names in self._shares[number]:
                    self._create(client, names, chance)
                    for name in names:
                        if name in self._to_delete:
                            self._delete(client, name)
        except BaseException as fault:
            self._faults.append(fault)

    def _create(self, client: httpx.Client, names: list[str], chance: random.Random) -> None:
        now = time.time_ns() // 1_000_000
        jobs = [
            {"id": name, "trigger_time": now + chance.randrange(SPREAD_MS), "meta": name, "route": "hook"}
            for name in names
        ]
        body = jobs if len(jobs) > 1 else jobs[0]
        answer, _ = self._ask(lambda url: client.post(f"{url}{PATH}?late=fire", json=body))
        assert answer.status_code == 200, answer.text
        self.ledger.acknowledged.update(names)

    def _delete(self, client: httpx.Client, name: str) -> None:
        answer, is_first = self._ask(lambda url: client.delete(f"{url}{PATH}/{name}"))
        now, code = time.time(), answer.json().get("code")
        if answer.status_code == 200 or code == UNKNOWN_JOB:  # unknown: one before, unanswered, has deleted it
            self.ledger.gone_since[name] = now
            self.ledger.deleted += answer.status_code == 200
        else:
            assert code == IN_FLIGHT, answer.text
            self.ledger.refused_in_flight += 1
            if not is_first:  # a database may still be at work for a server that was killed
                self.ledger.unsure.add(name)

    def _ask(self, request: Callable[[str], httpx.Response]) -> tuple[httpx.Response, bool]:
        """The first answer that is neither a broken connection nor 503; whether no request before it was cut off."""
        is_first = True
        while not self._ending.is_set():
            for server in self._servers:
                try:
                    answer = request(server.url)
                except httpx.ConnectError:
                    continue
                except httpx.TransportError:
                    is_first = False
                    continue
                if answer.status_code != 503:
                    return answer, is_first
            self._ending.wait(0.02)
        raise AssertionError("the test ended before this was answered")


def check_ids(calls: list[Call]) -> None:
    """Repeats carry the same webhook-id, and no two jobs share one."""
    ids: dict[str, set[str]] = defaultdict(set)
    jobs: dict[str, set[Any]] = defaultdict(set)
    for call in calls:
        job, id = call.headers["x-undercroft-job"], call.headers["webhook-id"]
        ids[job].add(id)
        jobs[id].add((job, call.body))
    assert [job for job, seen in ids.items() if len(seen) > 1] == []
    assert [seen for seen in jobs.values() if len(seen) > 1] == []
