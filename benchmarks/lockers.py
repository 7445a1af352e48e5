"""Who takes part in the locks' works: ours and etcd over HTTP, Redis and PostgreSQL through their libraries."""

import base64
import http.client
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import locking
from benchmarks.locking import Script
from benchmarks.measures import Pairs
from benchmarks.node import Node
from benchmarks.peer import Peer, python_program
from benchmarks.processes import Unable, cpu_seconds
from benchmarks.services import Etcd, Postgres, Redis, Service

# How long a lock would last if it were not released (s).
TTL = 30


class Locker(Protocol):
    name: str

    def open(self, folder: Path) -> None: ...

    def close(self) -> None: ...

    def pairs(self, clients: int, seconds: float, *, contended: bool) -> Pairs:
        """Each client on a name of its own, or all in line for one."""


@dataclass
class UndercroftLocks:
    """On the embedded database. A release brings the token of its grant, as careful clients do."""

    name: str = "Undercroft"

    def open(self, folder: Path) -> None:
        self.node = Node(folder / "node", secrets.token_hex(20))

    def close(self) -> None:
        self.node.stop()

    def pairs(self, clients: int, seconds: float, *, contended: bool) -> Pairs:
        def script(number: int) -> Script:
            return self._script("line" if contended else f"name-{number}", contended)

        return _with_cpu([self.node.pid], lambda: locking.pairs(self.node.port, script, clients, seconds))

    def _script(self, name: str, wait: bool) -> Script:
        asked: dict[str, Any] = {"name": name, "ttl": TTL, **({"wait": TTL} if wait else {})}
        post = self.node.request("POST", "/systems/locks", asked)
        delete = self.node.request("DELETE", f"/systems/locks/{name}").removesuffix(b"\r\n")
        while True:
            answer = yield post
            token = locking.found(answer, b"x-lock-token: ", b"\r\n")
            answer = yield b"%sx-lock-token: %s\r\n\r\n" % (delete, token)
            if not answer.endswith(b'{"lock_removed":true}'):
                raise Unable(f"a lock was not removed: {answer.decode(errors='replace')}")


@dataclass
class EtcdLocks:
    """Its lock service by its HTTP gateway. An etcd lock ends with its lease.

    Each lock has a lease of its own, and so an expiry of its own, as ours have. Or, `in_session`: all locks of a client
    have one, and end together.
    """

    name: str = "etcd"
    in_session: bool = False

    def open(self, folder: Path) -> None:
        self.etcd = Etcd(folder)

    def close(self) -> None:
        self.etcd.close()

    def pairs(self, clients: int, seconds: float, *, contended: bool) -> Pairs:
        def script(number: int) -> Script:
            name = "line" if contended else f"name-{number}"
            return self._on_one_lease(name, leases[number]) if self.in_session else self._on_leases(name)

        leases = [self._lease() for _ in range(clients)]
        requests = 2 if self.in_session else 3
        measure = lambda: locking.pairs(self.etcd.port, script, clients, seconds, requests)  # noqa: E731
        return _with_cpu(self.etcd.pids, measure)

    def _on_one_lease(self, name: str, lease: str) -> Script:
        lock = self._lock(name, lease)
        while True:
            answer = yield lock
            key = locking.found(answer, b'"key":"', b'"')
            yield self._request("lock/unlock", {"key": key.decode()})

    def _on_leases(self, name: str) -> Script:
        grant = self._request("lease/grant", {"TTL": TTL})
        while True:
            answer = yield grant
            lease = locking.found(answer, b'"ID":"', b'"').decode()
            yield self._lock(name, lease)
            yield self._request("lease/revoke", {"ID": lease})  # the lock goes with it

    def _lock(self, name: str, lease: str) -> bytes:
        return self._request("lock/lock", {"name": base64.b64encode(name.encode()).decode(), "lease": lease})

    def _request(self, verb: str, body: dict[str, Any]) -> bytes:
        payload = json.dumps(body).encode()
        head = f"POST /v3/{verb} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(payload)}\r\n\r\n"
        return head.encode() + payload

    def _lease(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd.port, timeout=30)
        try:
            connection.request("POST", "/v3/lease/grant", json.dumps({"TTL": 10 * TTL}))
            return str(json.loads(connection.getresponse().read())["ID"])
        finally:
            connection.close()


class LibraryLocks(Peer):
    """Through a client library, in a program of its own."""

    def pairs(self, clients: int, seconds: float, *, contended: bool) -> Pairs:
        arguments = ["--seconds", str(seconds), "--clients", str(clients)]
        service = cpu_seconds(self.service.pids)
        answer = self.answer_of("contended" if contended else "pairs", arguments)
        return Pairs(answer["took"], answer["seconds"], answer["cpu"] + cpu_seconds(self.service.pids) - service)


def redis_locks() -> LibraryLocks:
    """SET NX PX, and a script that deletes what is still its own."""
    serve: Callable[[Path], Service] = lambda folder: Redis(folder, "always")  # noqa: E731
    return LibraryLocks("Redis (always)", python_program("with_redis_locks.py"), serve)


def etcd_session() -> EtcdLocks:
    return EtcdLocks("etcd, in a session", in_session=True)


def postgres_locks() -> LibraryLocks:
    """SELECT … FOR UPDATE of a row in a transaction that lasts as long as the lock."""
    return LibraryLocks("PostgreSQL row", python_program("with_postgres_locks.py"), Postgres)


def postgres_rows() -> LibraryLocks:
    """A row with a token and an expiry, which outlives its connection as ours do: put, and deleted."""
    return LibraryLocks("PostgreSQL row with expiry", python_program("with_postgres_lock_rows.py"), Postgres)


def _with_cpu(pids: list[int], measure: Callable[[], Pairs]) -> Pairs:
    """The server's CPU; the load clients' is told beside it nowhere, as with timers."""
    cpu = cpu_seconds(pids)
    measured = measure()
    return Pairs(measured.took, measured.seconds, cpu_seconds(pids) - cpu)
