"""Noticing what others do in the folder: a scan of everything, and a watch from then on. Runs in one thread."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from asyncinotify import Inotify, Mask, Watch

from undercroft.families.sync.names import raw, shown
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.storage import Storage
from undercroft.families.sync.wire import Message, Report, Scanned
from undercroft.families.sync.worker.index import Index

BATCH = 500
_MASK = (
    Mask.CREATE | Mask.CLOSE_WRITE | Mask.MODIFY | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE | Mask.ATTRIB
    | Mask.ONLYDIR
)  # fmt: skip

GONE = "the root is gone, or another has taken its place; nothing was deleted elsewhere"

Tell = Callable[[Message], None]


class Look(NamedTuple):
    seen: Seen
    before: str | None
    """The revision that the index had as it was looked at."""

    @property
    def about(self) -> tuple[str, str | None]:
        return self.seen.path, self.before


class Observer:
    def __init__(self, storage: Storage, index: Index, inotify: Inotify | None, tell: Tell) -> None:
        self._storage = storage
        self._index = index
        self._inotify = inotify
        self._tell = tell
        self.folders: dict[Watch, bytes] = {}
        self._names: set[bytes] = set()

    def scan(self) -> list[str]:
        """Look at everything, tell what is new, changed or gone. Raises Vanished.

        What changes at this moment, or is being written by an operation, is to be looked at later: it is returned.
        """
        began = time.monotonic()
        self._storage.skipped.clear()
        there: set[str] = set()
        later: list[str] = []
        self._look_below(b"", there, later)
        before = {path: self._index.revision(path) for path in self._index.missing(there)}
        now = {path: self._look(path) for path in before}
        gone = {path: revision for path, revision in before.items() if now[path] is None}
        later += [path for path, revision in before.items() if now[path] not in (None, revision)]
        if not self._storage.is_there():
            raise Vanished(GONE)
        with self._index.telling:
            really = [path for path, revision in gone.items() if self._is_as_before(path, revision, later)]
            for path in really:
                self._index.note(Seen(path, None, ""))
            skipped = list(self._storage.skipped.items())
            self._tell(Scanned(len(there), time.monotonic() - began, really, skipped))
        return later

    def look_at(self, paths: Iterable[str]) -> list[str]:
        """Look at these again, which may be folders. What changes at this moment, to be looked at later.

        What is gone is told together with what is there now, for it may have been renamed. Where nothing is gone, what
        a folder holds is told while it is read on.
        """
        found: list[Look] = []
        later: list[str] = []
        folders: list[bytes] = []
        for path in paths:
            name = raw(path)
            if self._storage.is_ignored(name) and path not in self._index:
                continue  # one that came from another entry is kept as all others are
            if self._storage.is_folder(path):
                folders.append(name)
                vanished = [path] if path in self._index else []
            elif name in self._names:
                self._names.discard(name)
                vanished = [path, *self._index.below(path)]
            else:
                vanished = [path]
            for one in vanished:
                self._look_again(one, found, later)
        together = found if any(look.seen.content is None for look in found) else None
        for name in folders:
            self._look_below(name, set(), later, together)
        self._report(found, later)
        return later

    def watch(self, folder: bytes, descriptor: int) -> None:
        """By its descriptor: it is certainly this folder, whatever its name leads to by now."""
        assert self._inotify is not None, "only what is watched tells of its folders"
        watch = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", _MASK)
        self.folders[watch] = folder
        self._names.add(folder)

    def _look_below(self, folder: bytes, there: set[str], later: list[str], found: list[Look] | None = None) -> None:
        """`there` gets all that is there; `found`, where it is given, what is new or changed, which is told else."""
        looks = [] if found is None else found
        for path, revision in self._storage.walk(folder, self.watch):
            there.add(path)
            before = self._index.revision(path)
            if before == revision:
                continue
            seen = self._read(path, later)
            if seen is not None:
                looks.append(Look(seen, before))
            if found is None and len(looks) >= BATCH:
                self._report(looks, later)
                looks.clear()
        if found is None:
            self._report(looks, later)

    def _look_again(self, path: str, found: list[Look], later: list[str]) -> None:
        before = self._index.revision(path)
        revision = self._look(path)
        if revision is None:
            if before is not None:
                found.append(Look(Seen(path, None, ""), before))
        elif revision != before:
            seen = self._read(path, later)
            if seen is not None:
                found.append(Look(seen, before))

    def _report(self, found: list[Look], later: list[str]) -> None:
        """Tell what was found, as far as no operation has come between the look and now."""
        with self._index.telling:
            told = {look.seen.path: look.seen for look in found if self._is_as_before(*look.about, later)}
            for seen in told.values():
                self._index.note(seen)
            if told:
                self._tell(Report(list(told.values())))

    def _is_as_before(self, path: str, revision: str | None, later: list[str]) -> bool:
        if path not in self._index.busy and self._index.revision(path) == revision:
            return True
        later.append(path)
        return False

    def _look(self, path: str) -> str | None:
        try:
            return self._storage.look(path)
        except OSError as error:
            self._storage.skipped[path] = f"it can't be read: {error.strerror}"
            return self._index.revision(path)  # unreadable is not gone

    def _read(self, path: str, later: list[str]) -> Seen | None:
        """None where there is nothing to tell now. `later` gets what changes at this moment."""
        seen = None
        try:
            seen = None if path in self._index.busy else self._storage.read(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._storage.skipped[path] = f"it can't be read: {error.strerror}"
            return None
        if seen is None:
            later.append(path)
        return seen


def path_in(folder: bytes, name: bytes) -> str:
    return shown(folder + b"/" + name if folder else name)
