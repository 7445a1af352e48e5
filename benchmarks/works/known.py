"""A million known files in one entry: looking at all of them again, the memory that they take, pages of the list.

The files are empty: what is known of a file takes the same room whatever is in it.
"""

import http.client
import os
import secrets
import time
from pathlib import Path
from statistics import median

from benchmarks.bench import Bench
from benchmarks.entries import API, SOURCE, Entries
from benchmarks.measures import Report, at_most
from benchmarks.node import Node
from benchmarks.processes import Unable, resident_mb
from benchmarks.trees import Pair

TITLE = "1,000,000 known files in an entry"
RESCAN, MEMORY, PAGE = 40, 500, 20
IN_A_FOLDER = 1_000
# A page is asked for so often, unless that takes longer in all (s).
ASKED, LONGEST = 7, 2.0
# Making so many files takes a quarter of a minute, and many where as many were deleted just before (s).
PATIENCE = 120.0


class Known(Entries):
    """One entry."""

    def open(self, folder: Path) -> None:
        self.pair = Pair.within(folder)
        self.node = Node(folder / "node", secrets.token_hex(20))
        self.pids = [self.node.pid]

    def page_ms(self, query: str) -> float:
        """How long a page takes, the median of some; on a connection that is kept."""
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=120)
        took: list[float] = []
        while len(took) < ASKED and sum(took) < LONGEST * 1000:
            began = time.perf_counter()
            connection.request("GET", f"{API}files?{query}", headers={"Authorization": f"Bearer {self.node.token}"})
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise Unable(f"files?{query} was answered {answer.status}")
        connection.close()
        return median(took)


def run(bench: Bench) -> Report:
    count = 100_000 if bench.quick else 1_000_000
    report = Report("known", TITLE.replace("1,000,000", f"{count:,}"))
    ours = Known("Undercroft")
    with bench.opened(ours, keep=True) as opened:
        bench.say(f"  making {count:,} files")
        made = _make(opened.pair.source, count)
        if made < count:
            report.notes.append(f"only {made:,} files were made in {PATIENCE:g} s; those are measured")
            count = made
        bench.turn(ours.name, lambda one: _first_look(report, one), opened)
        bench.turn(ours.name, lambda one: _looks(report, one), opened)
        bench.turn(ours.name, lambda one: _pages(report, one, count), opened)
    return report


def _first_look(report: Report, one: Known) -> None:
    began = time.time()
    one.ask("POST", "entries", {"name": SOURCE, "driver": "local_storage", "options": {"root": str(one.pair.source)}})
    report.add(one.name, "first look, all new", [one.await_scan(SOURCE, None, every=0.5) - began], "s")


def _looks(report: Report, one: Known) -> None:
    """After a new start, so that memory is what knowing takes, not what learning took."""
    began, before = time.time(), one.scanned_at(SOURCE)
    one.node.stop()
    one.node.start()
    one.pids = [one.node.pid]
    at = one.await_scan(SOURCE, before, every=0.5)
    report.add(one.name, "server started, entry in step", [at - began], "s")
    took = []
    for _ in range(2):
        began = time.time()
        one.ask("PUT", f"entries/{SOURCE}/rescan")
        at = one.await_scan(SOURCE, at, every=0.5)
        took.append(at - began)
    report.add(one.name, "rescan", took, "s", at_most(RESCAN))
    report.add(one.name, "memory of the server", [resident_mb([one.node.pid], alone=True)], "MB", at_most(MEMORY))
    report.add(one.name, "memory of the entry's process", [resident_mb([one.worker(SOURCE)], alone=True)], "MB")


def _pages(report: Report, one: Known, count: int) -> None:
    anywhere = [one.page_ms(f"offset={count * tenth // 10 - (tenth == 10) * 20}") for tenth in range(11)]
    report.add(one.name, "page, the slowest of 11 places", [max(anywhere)], "ms", at_most(PAGE))
    filters = {
        "entry": f"entry={SOURCE}",
        "synced": "state=synced",
        "behind": "state=behind",
        "q, many": "q=00",
        "q, one": f"q=/{IN_A_FOLDER - 1:04}",
        "q, none": "q=nowhere",
    }
    for what, query in filters.items():
        took = [one.page_ms(query), one.page_ms(f"{query}&offset={count * 9 // 10}")]
        report.add(one.name, f"page, {what}, the slower of first and far", [max(took)], "ms", at_most(PAGE))


def _make(root: Path, count: int) -> int:
    """How many there are."""
    deadline = time.monotonic() + PATIENCE
    for number in range(count // IN_A_FOLDER):
        folder = root / f"{number:04}"
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for name in range(IN_A_FOLDER):
            os.close(os.open(f"{name:04}.dat", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor))
        os.close(descriptor)
        if time.monotonic() > deadline:
            return (number + 1) * IN_A_FOLDER
    os.sync()
    return count
