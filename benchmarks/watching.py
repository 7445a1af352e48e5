"""Programs that stay and watch a folder: ours, lsyncd, unison, syncthing. All on loopback, in folders of the run."""

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import needs
from benchmarks.copying import Spent
from benchmarks.processes import Unable, cpu_seconds, forget_peaks, free_port, last_words, peak_mb, resident_mb, stop
from benchmarks.trees import Pair, Tree, await_all, compare

# What is still done after the last file has its name (s): it counts as CPU.
AFTERWARDS = 0.5
SMALL = 4_096


class Watcher:
    """Its processes are the family of `pids`."""

    name: str
    pair: Pair
    pids: list[int]

    def bring(self, tree: Tree) -> Spent:
        return self._carried(tree, lambda: self._move_in(tree))

    def rescan(self) -> Spent:
        cpu, began = cpu_seconds(self.pids), time.perf_counter()
        self.look_again()
        seconds = time.perf_counter() - began
        time.sleep(AFTERWARDS)
        return Spent(seconds, cpu_seconds(self.pids) - cpu)

    def look_again(self) -> None:
        """At everything, on both sides; answered when that is done."""
        raise Unable("it can't be asked to look again")

    def one_more(self, name: str, patience: float = 30.0) -> float:
        """ms from before a small file is made until it can be read whole on the other side."""
        content, there = os.urandom(SMALL), self.pair.target / name
        began = time.perf_counter()
        (self.pair.source / name).write_bytes(content)
        while time.perf_counter() - began < patience:
            with contextlib.suppress(FileNotFoundError):
                if there.read_bytes() == content:
                    return (time.perf_counter() - began) * 1000
            time.sleep(0.0003)
        raise Unable(f"a new file had not arrived after {patience:g} s")

    def _move_in(self, tree: Tree) -> None:
        (self.pair.beside / tree.top).rename(self.pair.source / tree.top)

    def _carried(self, tree: Tree, begin: Callable[[], object]) -> Spent:
        forget_peaks(self.pids)
        memory, cpu, began = resident_mb(self.pids), cpu_seconds(self.pids), time.perf_counter()
        begin()
        await_all(tree, self.pair.target)
        seconds = time.perf_counter() - began
        time.sleep(AFTERWARDS)
        peak = peak_mb(self.pids)
        spent = Spent(seconds, cpu_seconds(self.pids) - cpu, peak, peak - memory)
        compare(tree, self.pair)
        return spent


class Started(Watcher):
    """Programs that are started with a command line each and write a log."""

    def _start(self, words: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        self.log = folder / "log"
        with self.log.open("a") as out:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        self.processes.append(process)
        self.pids.append(process.pid)

    def _await_first(self) -> None:
        """It watches from here on: a first file has come through."""
        if any(process.poll() is not None for process in self.processes):
            raise Unable(f"it ended: {last_words(self.log)}")
        self.one_more("first")

    def close(self) -> None:
        for process in self.processes:
            stop(process)


class Lsyncd(Started):
    """It runs rsync for what has changed, at once (`-delay 0`)."""

    name = "lsyncd"

    def open(self, folder: Path) -> None:
        self.pair, self.processes, self.pids = Pair.within(folder), [], []
        words = [needs.lsyncd(), "-nodaemon", "-delay", "0", "-rsync", str(self.pair.source), str(self.pair.target)]
        needs.rsync()
        self._start(words, folder)
        self._await_first()


class UnisonWatch(Started):
    """With its watcher beside it, where that is installed; Debian's package has none, so that it looks every second."""

    name = "unison -repeat"

    def open(self, folder: Path) -> None:
        self.pair, self.processes, self.pids = Pair.within(folder), [], []
        words = [needs.unison(), str(self.pair.source), str(self.pair.target), "-batch", "-times", "-ui", "text"]
        self._start([*words, "-repeat", needs.unison_repeat()], folder, {"UNISON": str(folder)})
        self._await_first()


class Syncthing(Started):
    """Two instances; it gathers changes for a second at least."""

    name = "syncthing"

    def open(self, folder: Path) -> None:
        self.pair, self.processes, self.pids = Pair.within(folder), [], []
        self.key = secrets.token_hex(16)
        self.ports = [free_port(), free_port()]
        listening = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
        homes = [folder / "one", folder / "two"]
        for home, port in zip(homes, self.ports, strict=True):
            self._begin(home, port)
        devices = [self._ask(n, "GET", "system/status")["myID"] for n in range(2)]
        for n, root in enumerate((self.pair.source, self.pair.target)):
            self._set_up(n, root, devices, listening)
        self._await_first()

    def look_again(self) -> None:
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda n: self._ask(n, "POST", "db/scan?folder=bench"), range(2)))

    def _begin(self, home: Path, port: int) -> None:
        words = [needs.syncthing(), "generate", f"--home={home}", "--no-default-folder"]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise Unable(f"syncthing could not be set up: {ended.stderr.strip()[-300:]}")
        words = [needs.syncthing(), "serve", f"--home={home}", f"--gui-address=127.0.0.1:{port}", "--no-browser"]
        self._start(words, home, {"STGUIAPIKEY": self.key, "STNOUPGRADE": "1", "STNORESTART": "1"})
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                self._ask(self.ports.index(port), "GET", "system/ping")
                return
            if time.monotonic() > deadline or self.processes[-1].poll() is not None:
                raise Unable(f"syncthing did not start: {last_words(self.log)}")
            time.sleep(0.05)

    def _set_up(self, n: int, root: Path, devices: list[str], listening: list[str]) -> None:
        alone = dict.fromkeys(("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled"), False)
        quiet = {"urAccepted": -1, "crashReportingEnabled": False, "listenAddresses": [listening[n]]}
        self._ask(n, "PATCH", "config/options", {**alone, **quiet})
        other = {"deviceID": devices[1 - n], "addresses": [listening[1 - n]]}
        self._ask(n, "PUT", f"config/devices/{devices[1 - n]}", other)
        both = [{"deviceID": device} for device in devices]
        folder = {"id": "bench", "path": str(root), "devices": both, "fsWatcherEnabled": True, "fsWatcherDelayS": 1}
        self._ask(n, "PUT", "config/folders/bench", folder)

    def _ask(self, n: int, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[n], timeout=60)
        try:
            connection.request(method, "/rest/" + path, json.dumps(body), {"X-API-Key": self.key})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Unable(
                f"syncthing answered {answer.status} to {method} {path}: {text.decode(errors='replace')[:200]}"
            )
        return json.loads(text) if text else None
