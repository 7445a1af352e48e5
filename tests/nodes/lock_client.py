"""One client of locks in a process of its own, so that it can be stopped (SIGSTOP) wherever it is.

Told on standard input, as JSON: `urls`, `token`, `names`, `seed`, `log`. It writes a line before each request and one
after its answer, and ends when it gets SIGTERM. Standard library only: 32 of them have to start quickly.
"""

import http.client
import json
import random
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# A request whose answer was lost is repeated with its key for so long (s).
PATIENCE = 30
# Longer than any client waits in line (s).
TIMEOUT = 8


class Client:
    def __init__(self, urls: list[str], token: str, names: list[str], seed: int, log: str) -> None:
        self.servers = [urlsplit(url).netloc for url in urls]
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.names = names
        self.chance = random.Random(seed)
        self.log = Path(log).open("a", buffering=1)  # noqa: SIM115
        self.open: dict[str, http.client.HTTPConnection] = {}
        self.number = 0
        self.ending = False
        signal.signal(signal.SIGTERM, self.end)

    def end(self, *_: object) -> None:
        self.ending = True

    def work(self) -> None:
        while not self.ending:
            self.turn()

    def turn(self) -> None:
        """Obtain a lock, or not; then what people do with one: good and bad."""
        chance = self.chance
        asked: dict[str, Any] = {"name": chance.choice(self.names), "ttl": round(chance.uniform(0.2, 1.2), 3)}
        if chance.random() < 0.5:
            asked["wait"] = round(chance.uniform(0.1, 1.5), 3)
        if chance.random() < 0.1:
            asked["lock_delay"] = 0.2
        key = secrets.token_hex(8) if chance.random() < 0.5 else None
        answer = self.obtain(asked, key)
        if not answer or not answer["lock_obtained"]:
            time.sleep(chance.uniform(0, 0.02))
            return
        self.hold(asked, key, answer["token"])

    def hold(self, asked: dict[str, Any], key: str | None, token: str) -> None:
        chance = self.chance
        habit = chance.random()
        if habit < 0.04:
            return  # forgets it
        if habit < 0.12:
            time.sleep(asked["ttl"] + 0.1)  # overstays
        elif habit < 0.5:
            time.sleep(chance.uniform(0, 0.03))
        if habit < 0.3:
            self.renew(asked["name"], token, round(chance.uniform(0.2, 1), 3))
        if key and chance.random() < 0.2:
            self.obtain(asked, key)  # as if the answer had not been heard
        self.release(asked["name"], token)

    def obtain(self, asked: dict[str, Any], key: str | None) -> dict[str, Any] | None:
        lose = key is not None and self.chance.random() < 0.3
        hang_up = key is None and "wait" in asked and self.chance.random() < 0.1
        extra = {"Idempotency-Key": key} if key else {}
        facts = {"kind": "obtain", "name": asked["name"], "key": key, "wait": asked.get("wait", 0)}
        return self.request(
            facts, "POST", "", asked | {"details": True}, extra, cuts=int(lose or hang_up), again=key is not None
        )

    def renew(self, name: str, token: str, ttl: float) -> None:
        facts = {"kind": "renew", "name": name, "token": token}
        if self.chance.random() < 0.5:
            self.request(facts, "PUT", f"/{name}", {"token": token, "ttl": ttl, "details": True}, {})
        else:
            self.request(facts, "POST", "", {"name": name, "token": token, "ttl": ttl, "details": True}, {})

    def release(self, name: str, token: str) -> None:
        facts = {"kind": "release", "name": name, "token": token}
        cuts = int(self.chance.random() < 0.05)
        self.request(facts, "DELETE", f"/{name}", None, {"X-Lock-Token": token}, cuts=cuts, again=True)

    def request(
        self,
        facts: dict[str, Any],
        method: str,
        path: str,
        body: object,
        extra: dict[str, str],
        cuts: int = 0,
        again: bool = False,
    ) -> dict[str, Any] | None:
        """The answer; None where it was lost, and was not asked for `again`. The first `cuts` answers are lost."""
        self.number += 1
        self.write(number=self.number, sent=now(), **facts)
        data = None if body is None else json.dumps(body)
        until = time.monotonic() + PATIENCE
        tries = 0
        while time.monotonic() < until:
            tries += 1
            answer = self.ask(method, f"/systems/locks{path}", data, self.headers | extra, cut=tries <= cuts)
            if answer is not None:
                self.write(number=self.number, answered=now(), tries=tries, answer=answer)
                return answer
            if not again:
                return None
            time.sleep(0.02)
        return None

    def ask(
        self, method: str, path: str, data: str | None, headers: dict[str, str], cut: bool
    ) -> dict[str, Any] | None:
        server = self.chance.choice(self.servers)
        line = self.open.setdefault(server, http.client.HTTPConnection(server, timeout=TIMEOUT))
        try:
            line.request(method, path, data, headers)
            if cut:
                time.sleep(self.chance.choice([0, 0.003, 0.05, 0.3]))
                line.close()
                return None
            response = line.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            line.close()
            return None
        if response.status == 503:  # what became of it is not known
            return None
        found: dict[str, Any] = json.loads(text) | {"status": response.status}
        return found

    def write(self, **line: Any) -> None:
        self.log.write(json.dumps(line) + "\n")


def now() -> int:
    """Milliseconds since 1970. All clients share the server's machine."""
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    Client(**json.loads(sys.stdin.readline())).work()
