"""One running server of ours: started as a user starts it, asked over HTTP, stopped."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import Unable, free_port, last_words, resident_mb, stop

CROFT = Path(sys.executable).parent / "croft"


class Node:
    """`croft serve` on a free port, with its own data folder; nodes that share a `database` work together."""

    def __init__(self, folder: Path, token: str, database: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.token, self.database = folder, token, database
        self.port = free_port()
        self.started_in = self.start()

    def start(self) -> float:
        """Returns the seconds until /health answered 200."""
        environment = {"UNDERCROFT_ADMIN_TOKEN": self.token, "UNDERCROFT_ALLOW_PRIVATE_TARGETS": "1"}
        if self.database:
            environment["UNDERCROFT_DATABASE"] = self.database
        where = ["--data", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]
        began = time.perf_counter()
        with (self.folder / "serve.log").open("a") as log:
            self.process = subprocess.Popen(
                [str(CROFT), "serve", *where],
                stdout=log,
                stderr=log,
                text=True,
                env=os.environ | environment,
                start_new_session=True,
            )
        while not self._healthy():
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                stop(self.process)
                raise Unable(f"our server did not start: {last_words(self.folder / 'serve.log')}")
            time.sleep(0.01)
        return time.perf_counter() - began

    def stop(self) -> None:
        stop(self.process)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def resident_mb(self) -> float:
        return resident_mb([self.pid])

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """A prepared HTTP/1.1 request with our token, ready for the wire."""
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        return head.encode() + payload

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request, its JSON answer; Unable when it is refused."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body), {"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 201, 202):
            raise Unable(f"{method} {path} was answered {answer.status} {text.decode(errors='replace')[:300]}")
        return json.loads(text)

    def _healthy(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
