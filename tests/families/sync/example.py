"""The document's example, on a real server: entries that are real processes over real folders, asked over HTTP."""

from pathlib import Path
from typing import Any

import httpx

from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of

API = "/api/v1.0"


class Example:
    """The document's example: entries A and B in `example/A` and `example/B`."""

    def __init__(self, croft: Croft, folder: Path, names: tuple[str, ...] = ("A", "B")) -> None:
        self.croft = croft
        self.folder = folder
        for name in names:
            (folder / name).mkdir(parents=True)
            options = {"root": str(folder / name)}
            added = self.call("POST", "/entries", json={"name": name, "driver": "local_storage", "options": options})
            assert added.status_code == 201, added.text
            wait_until(lambda name=name: self.get(f"/entries/{name}/status")["status"] == "active", f"{name} to run")

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.croft.http.request(method, API + path, **more)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["vary"] == "Accept"
        return answer.json()

    def share(self, rules: Any = None) -> None:
        both = {"rules": [{"match": {"path": "/"}, "sync": ["A", "B"]}]}
        assert self.call("PUT", "/rules", json=rules or both).json() == {"status": "ok"}
        assert self.call("PUT", "/rules/reload").json() == {"status": "ok"}

    def write(self, entry: str, name: str, content: bytes) -> None:
        path = self.folder / entry / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def file(self, name: str) -> Any:
        return self.call("GET", f"/files/{fid_of(name)}/metadata").json()

    def wait_for(self, name: str, uptodate: list[str], size: int) -> None:
        wait_until(
            lambda: (f := self.file(name)).get("uptodate") == uptodate and f["size"] == size, f"{name} at {uptodate}"
        )


def refused(answer: httpx.Response, status: int, reason: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json() == {"status": "error", "reason": reason}


def worker_pid(croft: Croft, entry: str) -> int:
    """Of the process that looks after an entry of this server; LookupError where there is none."""
    wanted = [str(croft.data / "sync.sock"), entry]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _command(process)[-2:] == wanted:
            return int(process.name)
    raise LookupError(entry)


def _command(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
