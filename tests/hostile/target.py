"""The server that gets the bad input, and how the tests look at what it keeps."""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.hostile.wire import Reply, Wire
from tests.services.croft import Croft

TABLES = ("targets", "queues", "deliveries", "attempts", "users", "team_members", "tokens", "installation")
# Written by the server's own rounds, whatever is sent to it.
MOVING = {"tokens": "last_used_at"}
FAULTS = ("Traceback", "request_failed", "exc_type")
PATH = "/job/shop/carts"
FAR = 4_102_444_800_000
"""The year 2100, in milliseconds."""


class Target:
    """A server with one route and one job."""

    def __init__(self, croft: Croft, url: str | None) -> None:
        self.croft = croft
        self.http = croft.http
        self._url = url
        route = {"id": "hook", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
        self.http.post("/route/shop", json=route).raise_for_status()
        self.http.post(PATH, json={"id": "kept", "trigger_time": FAR, "route": "hook"}).raise_for_status()

    def say(self, *parts: bytes, seconds: float = 10) -> list[Reply]:
        """What it answers to these bytes on a connection of their own, until it hangs up or falls silent."""
        with Wire(self.croft.port) as wire:
            for part in parts:
                wire.send(part)
            return wire.replies(seconds)

    def request(self, line: str, *headers: str, body: bytes = b"") -> bytes:
        """A signed-in request as bytes."""
        given = ["Host: here", f"Authorization: Bearer {self.croft.token}", *headers]
        return "\r\n".join([f"{line} HTTP/1.1", *given, "", ""]).encode("latin-1") + body

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        return self.http.post(path, content=body, headers={"Content-Type": "application/json", **headers})

    def dump(self) -> dict[str, list[Any]]:
        """Every row of every table, in an order of their own."""
        return {table: sorted(map(repr, self._rows(table))) for table in TABLES}

    def faults(self) -> int:
        text = self.croft.log.read_text(errors="replace")
        return sum(text.count(word) for word in FAULTS)

    def memory(self) -> int:
        """Its resident memory in bytes."""
        pages = Path(f"/proc/{self.croft.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def _rows(self, table: str) -> list[Any]:
        if self._url is None:
            with closing(sqlite3.connect(self.croft.data / "undercroft.db")) as connection:
                connection.row_factory = sqlite3.Row
                rows: list[Any] = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
        else:
            with psycopg.connect(self._url, row_factory=psycopg.rows.dict_row) as connection:
                rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
        return [{name: value for name, value in row.items() if name != MOVING.get(table)} for row in rows]
