"""Noticing what others do in the folder: a scan of everything, and a watch from then on. Runs in one thread."""

import time
from collections.abc import Callable, Iterable

from asyncinotify import Inotify, Mask, Watch

from undercroft.families.sync.names import raw, shown
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.storage import Storage
from undercroft.families.sync.wire import Scanned
from undercroft.families.sync.worker.index import Index

BATCH = 500
_MASK = (
    Mask.CREATE | Mask.CLOSE_WRITE | Mask.MODIFY | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE | Mask.ATTRIB
    | Mask.ONLYDIR
)  # fmt: skip

Tell = Callable[[list[Seen]], None]


class Observer:
    def __init__(self, storage: Storage, index: Index, inotify: Inotify | None) -> None:
        self._storage = storage
        self._index = index
        self._inotify = inotify
        self.folders: dict[Watch, bytes] = {}
        self._names: set[bytes] = set()

    def scan(self, tell: Tell) -> tuple[Scanned, list[str]]:
        """Look at everything. `tell` is given what is new or changed, some at a time.

        What changes at this moment, or is being written by an operation, is to be looked at later.
        """
        began = time.monotonic()
        self._storage.skipped.clear()
        found: set[str] = set()
        later: list[str] = []
        self._look_below(b"", tell, found, later)
        gone = [path for path in self._index.missing(found) if self._look(path) is None]
        scanned = Scanned(len(found), time.monotonic() - began, gone, list(self._storage.skipped.items()))
        return scanned, later

    def look_at(self, paths: Iterable[str], tell: Tell) -> list[str]:
        """Look at these again, which may be folders. What changes at this moment, to be looked at later."""
        reports: list[Seen] = []
        later: list[str] = []
        gone: dict[str, None] = {}
        for path in paths:
            name = raw(path)
            if self._storage.is_ignored(name):
                continue
            if self._storage.is_folder(path):
                self._look_below(name, reports.extend, set(), later)
                vanished = [path] if path in self._index else []
            elif name in self._names:
                self._names.discard(name)
                vanished = [path, *self._index.below(path)]
            else:
                vanished = [path]
            for one in vanished:
                self._look_again(one, reports, later, gone)
        reports += [Seen(path, None, "") for path in gone]
        if reports:
            for report in reports:
                self._index.note(report)
            tell(reports)
        return later

    def watch(self, folder: bytes, descriptor: int) -> None:
        """By its descriptor: it is certainly this folder, whatever its name leads to by now."""
        assert self._inotify is not None, "only what is watched tells of its folders"
        watch = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", _MASK)
        self.folders[watch] = folder
        self._names.add(folder)

    def _look_below(self, folder: bytes, tell: Tell, found: set[str], later: list[str]) -> None:
        reports: list[Seen] = []
        for path, revision in self._storage.walk(folder, self.watch):
            found.add(path)
            if self._index.revision(path) == revision:
                continue
            seen = None if path in self._index.busy else self._read(path)
            if seen is None:
                later.append(path)
                continue
            self._index.note(seen)
            reports.append(seen)
            if len(reports) >= BATCH:
                tell(reports)
                reports = []
        if reports:
            tell(reports)

    def _look_again(self, path: str, reports: list[Seen], later: list[str], gone: dict[str, None]) -> None:
        revision = self._look(path)
        if path in self._index.busy:
            later.append(path)
        elif revision is None:
            if path in self._index:
                gone[path] = None
        elif revision != self._index.revision(path):
            seen = self._read(path)
            if seen is None:
                later.append(path)
            elif seen.revision != self._index.revision(path):
                reports.append(seen)

    def _look(self, path: str) -> str | None:
        try:
            return self._storage.look(path)
        except OSError as error:
            self._storage.skipped[path] = f"it can't be read: {error.strerror}"
            return self._index.revision(path)  # unreadable is not gone

    def _read(self, path: str) -> Seen | None:
        try:
            return self._storage.read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._storage.skipped[path] = f"it can't be read: {error.strerror}"
            return None


def path_in(folder: bytes, name: bytes) -> str:
    return shown(folder + b"/" + name if folder else name)
