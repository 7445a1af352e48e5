"""File sync of ours as a contestant: entries on two folders, asked over HTTP as users do."""

import secrets
import time
from pathlib import Path
from typing import Any

from benchmarks.copying import Spent
from benchmarks.node import Node
from benchmarks.processes import Unable, children_with, cpu_seconds
from benchmarks.trees import Pair, Tree
from benchmarks.watching import AFTERWARDS, Watcher

API = "/api/v1.0/"
SOURCE, TARGET = "source", "target"


class Entries(Watcher):
    """One server and a process per entry. `starting`: the source's entry stands still and is started on its files."""

    def __init__(self, name: str = "Undercroft", *, starting: bool = False) -> None:
        self.name, self.starting = name, starting

    def open(self, folder: Path) -> None:
        self.pair = Pair.within(folder)
        self.node = Node(folder / "node", secrets.token_hex(20))
        self.pids = [self.node.pid]
        self.add(SOURCE, self.pair.source)
        self.add(TARGET, self.pair.target)
        self.ask("PUT", "rules", {"rules": [{"match": {"path": "/"}, "sync": [SOURCE, TARGET]}]})
        self.ask("PUT", "rules/reload")
        self.one_more("first")

    def close(self) -> None:
        self.node.stop()

    def bring(self, tree: Tree) -> Spent:
        if not self.starting:
            return super().bring(tree)
        self.ask("PUT", f"entries/{SOURCE}/stop")
        self._move_in(tree)
        return self._carried(tree, lambda: self.ask("PUT", f"entries/{SOURCE}/start"))

    def rescan(self) -> Spent:
        """By the moments that the server tells, so that it need not be asked often."""
        cpu, began = cpu_seconds(self.pids), time.time()
        before = [self.scanned_at(name) for name in (SOURCE, TARGET)]
        for name in (SOURCE, TARGET):
            self.ask("PUT", f"entries/{name}/rescan")
        time.sleep(AFTERWARDS)
        ends = [self.await_scan(name, last) for name, last in zip((SOURCE, TARGET), before, strict=True)]
        return Spent(max(ends) - began, cpu_seconds(self.pids) - cpu)

    def add(self, name: str, root: Path) -> None:
        self.ask("POST", "entries", {"name": name, "driver": "local_storage", "options": {"root": str(root)}})
        self.await_scan(name, None)

    def scanned_at(self, name: str) -> float | None:
        """The end of its last look at everything (s since 1970)."""
        at: float | None = self.ask("GET", f"entries/{name}/progress")["scanned_at"]
        return at

    def await_scan(self, name: str, after: float | None, patience: float = 600.0, every: float = 0.02) -> float:
        deadline = time.monotonic() + patience
        while (at := self.scanned_at(name)) is None or at == after:
            if time.monotonic() > deadline:
                raise Unable(f"entry {name} had not looked at everything after {patience:g} s")
            time.sleep(every)
        return at

    def worker(self, name: str) -> int:
        """The process of an entry."""
        return children_with(self.node.pid, name)[0]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.node.ask(method, API + path, body)
