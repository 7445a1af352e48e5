"""Clients of locks in processes of their own, some of them stopped for longer than their locks last; and a keeper."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.nodes import lock_client
from tests.nodes.lock_history import Tale
from tests.services.croft import Croft
from tests.services.waiting import wait_until

CLIENTS = 32
NAMES = [f"gate-{number}" for number in range(12)]
# How many are stopped at a time, and for how long (s): longer than most locks last, and than most people wait.
STOPPED = 4
STOPPED_FOR = (0.2, 1.8)


class LockStorm:
    def __init__(self, servers: Sequence[Croft], folder: Path, seed: int = 3862) -> None:
        self._servers = servers
        self._folder = folder
        self._seed = seed
        self._clients: list[subprocess.Popen[str]] = []
        self._ending = threading.Event()
        self._counted: Counter[Path] = Counter()
        self.stops = 0

    @contextmanager
    def raging(self) -> Iterator[None]:
        """Clients are at work inside, and have ended by themselves afterwards."""
        self._folder.mkdir()
        stopping = threading.Thread(target=self._stop_some)
        try:
            self._clients = [self._start(number) for number in range(CLIENTS)]
            stopping.start()
            yield
            self._ending.set()
            stopping.join()
            for client in self._clients:
                client.terminate()
            assert {client.wait(60) for client in self._clients} == {0}, "a client met what may not be"
        finally:
            self._ending.set()
            for client in self._clients:
                client.kill()
                client.wait()

    def wait_for_answers(self, count: int, seconds: float = 60) -> None:
        def so_many() -> bool:
            assert all(client.poll() is None for client in self._clients), "a client ended by itself"
            return self.answers() >= count

        wait_until(so_many, f"{count} answers", seconds, pause=0.1)

    def answers(self) -> int:
        """How many requests have been answered until now."""
        for log in self._folder.iterdir():
            with log.open("rb") as file:
                file.seek(self._counted[log])
                said = file.read()
            self._counted[log] += len(said)
            self._counted[self._folder] += said.count(b'"answered"')
        return self._counted[self._folder]

    def tales(self) -> list[Tale]:
        """What the clients tell."""
        return [tale for log in sorted(self._folder.iterdir()) for tale in _tales_in(log)]

    def _start(self, number: int) -> subprocess.Popen[str]:
        told = {
            "urls": [server.url for server in self._servers],
            "token": self._servers[0].token,
            "names": NAMES,
            "seed": self._seed + number,
            "log": str(self._folder / f"client-{number}"),
        }
        command = [sys.executable, "-I", "-S", lock_client.__file__]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        assert client.stdin
        client.stdin.write(json.dumps(told) + "\n")
        client.stdin.close()
        return client

    def _stop_some(self) -> None:
        chance = random.Random(self._seed)
        while not self._ending.is_set():
            some = chance.sample(self._clients, STOPPED)
            for client in some:
                self._signal(client, signal.SIGSTOP)
            self.stops += len(some)
            self._ending.wait(chance.uniform(*STOPPED_FOR))
            for client in some:
                self._signal(client, signal.SIGCONT)

    def _signal(self, client: subprocess.Popen[str], number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(client.pid, number)


class Keeper:
    """Somebody who holds a lock for long, whatever happens to the servers."""

    def __init__(self, server: Croft) -> None:
        self._granted = server.http.post("/systems/locks", json={"name": "vault", "ttl": 600}).raise_for_status()
        assert self._granted.json() == {"lock_obtained": True}

    @property
    def fence(self) -> int:
        return int(self._granted.headers["X-Fencing-Token"])

    def check(self, server: Croft) -> None:
        """It still does, and can renew it."""
        token = self._granted.headers["X-Lock-Token"]
        other = server.http.post("/systems/locks", json={"name": "vault", "ttl": 600}).raise_for_status()
        assert other.json() == {"lock_obtained": False}
        renewed = server.http.put("/systems/locks/vault", json={"token": token, "ttl": 600}).raise_for_status()
        assert renewed.json() == {"lock_renewed": True}
        assert int(renewed.headers["X-Fencing-Token"]) == self.fence


def _tales_in(log: Path) -> Iterator[Tale]:
    asked: dict[int, dict[str, Any]] = {}
    for line in log.read_text().splitlines():
        said = json.loads(line)
        asked.setdefault(said["number"], {}).update(said)
    for facts in asked.values():
        yield _tale(facts)


def _tale(facts: dict[str, Any]) -> Tale:
    kind, answer = facts["kind"], facts.get("answer", {})
    # A renewal may be asked for by POST as well.
    yes = next((answer[word] for word in ("lock_obtained", "lock_renewed", "lock_removed") if word in answer), None)
    assert not answer or (answer["status"], yes is None) == (200, False), f"a {kind} was answered {answer}"
    given = bool(yes) and kind != "release"
    return Tale(
        kind,
        facts["name"],
        answer.get("token") or facts.get("token", "") if given or kind != "obtain" else "",
        facts["sent"],
        facts.get("answered"),
        yes,
        answer["fence"] if given else 0,
        _seconds(answer["expires_at"]) if given else None,
        facts.get("key"),
        facts.get("tries", 1),
        round(facts.get("wait", 0) * 1000),
    )


def _seconds(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
