"""Large files are read beside all else: by a storage of their own, in its thread, one after the other."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.storage import Storage

# Reading less holds up all else for some tenths of a second, from a slow disk too; each has a report of its own.
LARGE = 64 * 2**20


class GivenUp(Exception):
    """Nobody wants to know any more."""


class Reading:
    """Of one file, in that revision."""

    def __init__(self, path: str, revision: str, storage: Storage, stopped: threading.Event) -> None:
        self.path = path
        self.revision = revision
        self._storage = storage
        self._stopped = stopped
        self._given_up = threading.Event()
        self._future: Future[Seen | None]

    def begin(self, thread: ThreadPoolExecutor, made: Callable[..., Any], on_end: Callable[[], None]) -> None:
        """`made`, as that of `Aside`, and `on_end` are called in that thread."""
        self._future = thread.submit(made, self._read)
        self._future.add_done_callback(lambda _: on_end())

    def give_up(self) -> None:
        """Its thread goes on to the next one as soon as the disk has answered."""
        self._given_up.set()

    @property
    def is_done(self) -> bool:
        return self._future.done()

    def result(self) -> Seen | None:
        """As `Storage.read` has it; when it is done. None where it was given up."""
        return self._future.result()

    def _read(self) -> Seen | None:
        try:
            return self._storage.read(self.path, self._go_on)
        except GivenUp:
            return None

    def _go_on(self, _: int) -> None:
        if self._stopped.is_set() or self._given_up.is_set():
            raise GivenUp


class Aside:
    def __init__(self, storage: Storage, stopped: threading.Event, made: Callable[..., Any]) -> None:
        """`storage`: one that nobody else uses. `stopped`: the server has hung up. `made`: makes a call that it is
        given, in the thread that reads."""
        self._storage = storage
        self._stopped = stopped
        self._made = made
        self._thread = ThreadPoolExecutor(1)

    def read(self, path: str, revision: str, on_end: Callable[[], None]) -> Reading:
        reading = Reading(path, revision, self._storage, self._stopped)
        reading.begin(self._thread, self._made, on_end)
        return reading

    def close(self) -> None:
        """Nobody waits for it: it changes nothing, and a disk that does not answer may hold it."""
        self._thread.submit(self._storage.close)
        self._thread.shutdown(wait=False)
