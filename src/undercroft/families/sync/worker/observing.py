"""Looking at what others do in the storage, and telling what was found. Runs in one thread."""

import errno
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from asyncinotify import Inotify, Mask, Watch

from undercroft.families.sync.names import LONGEST_PATH, raw, shown
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.storage import Storage
from undercroft.families.sync.wire import Message, Report, Scanned, Skipped
from undercroft.families.sync.worker.found import Found, Skips
from undercroft.families.sync.worker.index import Index, below

BATCH = 500
# A page that is not full is told after so long (s): what took long to read is not read again by the next connection.
TELL_AFTER = 1.0
_MASK = (
    Mask.CREATE | Mask.CLOSE_WRITE | Mask.MODIFY | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE | Mask.ATTRIB
    | Mask.ONLYDIR
)  # fmt: skip

GONE = "the root is gone, or another has taken its place; nothing was deleted elsewhere"
UNWATCHED = (
    "this folder is not watched: what changes in it is found by hourly looks alone, for the machine takes no more"
    " watches; raise fs.inotify.max_user_watches, then restart the entry"
)
NOT_WATCHED_AT_ALL = (
    "no folder of this entry is watched: what changes is found by a look every five minutes, for the machine takes no"
    " more watchers; raise fs.inotify.max_user_instances, then restart the entry"
)

Tell = Callable[[Message], None]


class HungUp(Exception):
    """The server hears nothing more of what is found."""


class Look(NamedTuple):
    seen: Seen
    before: str | None
    """The revision that the index had as it was looked at."""


class Observer:
    def __init__(
        self,
        storage: Storage,
        index: Index,
        inotify: Inotify | None,
        tell: Tell,
        stopped: threading.Event | None = None,
    ) -> None:
        """`stopped`: the server has hung up: whatever is being looked at, HungUp is raised."""
        self._storage = storage
        self._index = index
        self._inotify = inotify
        self._tell = tell
        self._stopped = stopped or threading.Event()
        self.folders: dict[Watch, bytes] = {}
        self._names: set[bytes] = set()
        self._unwatched: dict[str, None] = {}
        """What has come into folders that were not walked since."""
        self._skips = storage.skipped = Skips()
        self._found = Found()
        self._unsure: list[str] = []
        """Of what was found gone, what only was not listed."""
        self._scanned: Scanned | None = None
        self._page: list[Look] = []
        self._page_began = 0.0
        self._later: list[str] = []
        self._looks = 0

    @property
    def vanished(self) -> int:
        """So many files more have gone than are new, and that is not told yet."""
        return self._found.vanished

    # Looking

    def scan(self) -> None:
        """Look at everything; what was found and not told before is found again. Raises Vanished.

        Where nothing was known, what is there is told while it is looked for: nothing can have gone.
        """
        began, files = time.monotonic(), 0
        self._skips.clear()
        self._page = []
        self._found = found = Found()
        self._unsure = []
        missing = self._index.names()
        was_known = bool(missing)
        for path, revision in self._storage.walk(b"", self.watch):
            self.go_on()
            files += 1
            missing.discard(path)
            before = self._index.revision(path)
            if before == revision:
                continue
            if was_known:
                found.here[path] = before is None
            else:
                self._read_into_page(path)
        found.emptied = was_known and not files
        for path in missing:
            self._miss(path)
        if not self._storage.is_there():
            raise Vanished(GONE)
        self._take_arrived()
        self._scanned = Scanned(files, time.monotonic() - began)

    def look_at(self, paths: Collection[str]) -> None:
        """Look at these again, which may be folders. Raises Vanished."""
        self._take_arrived()
        here: list[bytes] = []
        changed: set[str] = set()
        unwatched = below(self._unwatched, paths)
        for path in unwatched:
            del self._unwatched[path]
        for path in paths:
            name = raw(path)
            if self._storage.is_ignored(name) and path not in self._index:
                continue  # one that came from another entry is kept as all others are
            self._skips.forget(path)
            self._look_again(path)
            if name in self._names:
                changed.add(path)
            if self._storage.is_folder(path):
                here.append(name)
            else:
                self._names.discard(name)
        self._look_below(here, changed, unwatched)
        if self._found.gone and not self._storage.is_there():
            raise Vanished(GONE)

    def _take_arrived(self) -> None:
        """An operation makes folders as well, and somebody may take one away before it is watched: what came into it is
        asked for at the first look at its name."""
        while self._index.arrived:
            path = self._index.arrived.popleft()
            if not self._is_watched(path):
                self._unwatched[path] = None

    def _is_watched(self, path: str) -> bool:
        """Or not by a watch at all: where there is none everything is looked at, and what is ignored never is."""
        folder = raw(path).rpartition(b"/")[0]
        return self._inotify is None or folder in self._names or self._storage.is_ignored(folder)

    def _look_below(self, here: list[bytes], changed: set[str], unwatched: Iterable[str]) -> None:
        """`here`: folders; `changed`: those that were known: they are gone, or others may have taken their places;
        `unwatched`: files in some that were not."""
        missing = {*self._index.below(changed), *unwatched}
        for path in below(list(self._skips), changed):
            self._skips.forget(path)
        for name in here:
            for path, revision in self._storage.walk(name, self.watch):
                self.go_on()
                missing.discard(path)
                self._found.note(path, self._index.revision(path), revision)
        for path in missing:
            self._look_again(path)

    def watch(self, folder: bytes, descriptor: int) -> None:
        """By its descriptor: it is certainly this folder, whatever its name leads to by now."""
        self.go_on()
        self._names.add(folder)
        if self._inotify is None:
            self._skips["/"] = NOT_WATCHED_AT_ALL
            return
        try:
            watch = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", _MASK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._skips[shown(folder) or "/"] = UNWATCHED
        else:
            self.folders[watch] = folder

    def _look_again(self, path: str) -> None:
        before = self._index.revision(path)
        self._found.note(path, before, self._look(path))

    def _look(self, path: str) -> str | None:
        self.go_on()
        try:
            return self._storage.look(path)
        except OSError as error:
            self._skips[path] = f"it can't be read: {error.strerror}"
            return self._index.revision(path)  # unreadable is not gone

    def _miss(self, path: str) -> None:
        """Where each look is a request it is looked at when it is told: until then all is listed again as often as more
        may be vanishing."""
        before = self._index.revision(path)
        if self._storage.polled is None or before is None:
            self._look_again(path)
        else:
            self._found.note(path, before, None)
            self._unsure.append(path)

    def go_on(self, _: int = 0) -> None:
        """Also a pace, for whoever reads. Raises HungUp."""
        if self._stopped.is_set():
            raise HungUp

    # Telling

    def tell(self) -> list[str]:
        """Tell what was found, in pages. What changes at this moment, or is being written by an operation, is to be
        looked at later: it is returned.

        What is gone is told together with what is new and of the same content: it was renamed.
        """
        self._looks += 1
        for path in self._unsure:
            self._look_again(path)
        self._unsure = []
        vanished = self._found.vanished
        self._tell_here(vanished)
        for path in list(self._found.gone):
            self._page.append(self._taken(path))
            if len(self._page) >= BATCH:
                self._report(vanished)
        self._report(vanished)
        self._found = Found()
        self._tell_skipped()
        if self._scanned is not None:
            self._tell(self._scanned)
        self._scanned = None
        later, self._later = self._later, []
        return later

    def tell_here(self) -> list[str]:
        """As `tell`, but of what is gone only what was renamed: more may be vanishing at this moment."""
        self._looks += 1
        self._tell_here(0)
        self._report(0)
        later, self._later = self._later, []
        return later

    def _tell_here(self, vanished: int) -> None:
        going: dict[str, list[str]] = {}
        for path in self._found.gone if self._found.here else ():
            going.setdefault(self._index.hash(path), []).append(path)
        for path in list(self._found.here):
            seen, is_new = self._read_into_page(path), self._found.here.pop(path)
            if seen is not None and seen.content is not None and (same := going.get(seen.content.hash)):
                self._page.append(self._taken(same.pop()))
            else:
                self._found.told += is_new and seen is not None
            if self._is_page_full():
                self._report(vanished)

    def _taken(self, path: str) -> Look:
        return Look(Seen(path, None, ""), self._found.gone.pop(path))

    def _read_into_page(self, path: str) -> Seen | None:
        """The page is told first where it is full."""
        if self._is_page_full():
            self._report(0)
        self._page_began = self._page_began if self._page else time.monotonic()
        before = self._index.revision(path)
        seen = self._read(path)
        if seen is None or seen.revision == before:
            return None
        self._page.append(Look(seen, before))
        return seen

    def _is_page_full(self) -> bool:
        return len(self._page) >= BATCH or (bool(self._page) and time.monotonic() - self._page_began > TELL_AFTER)

    def _read(self, path: str) -> Seen | None:
        """None where there is nothing to tell now."""
        self.go_on()
        seen = None
        try:
            seen = None if path in self._index.busy else self._storage.read(path, self.go_on)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._skips[path] = f"it can't be read: {error.strerror}"
            return None
        if seen is None:
            self._later.append(path)
        return seen

    def _report(self, vanished: int) -> None:
        """Tell a page, as far as no operation has come between the look and now."""
        page, self._page = self._page, []
        with self._index.telling:
            told = {look.seen.path: look.seen for look in page if self._is_as_before(look.seen.path, look.before)}
            for seen in told.values():
                self._index.note(seen)
            if told:
                self._tell(Report(list(told.values()), self._looks, vanished, self._found.emptied))

    def _is_as_before(self, path: str, revision: str | None) -> bool:
        if path not in self._index.busy and self._index.revision(path) == revision:
            return True
        self._later.append(path)
        return False

    def _tell_skipped(self) -> None:
        """After a scan all of it, else what has changed."""
        anew = self._scanned is not None
        paths = list(self._skips) if anew else list(self._skips.changed)
        self._skips.changed.clear()
        for at in range(0, len(paths) or anew, BATCH):
            page = [(path[: LONGEST_PATH + 1], self._skips.get(path, "")) for path in paths[at : at + BATCH]]
            self._tell(Skipped(page, anew and not at))


def path_in(folder: bytes, name: bytes) -> str:
    return shown(folder + b"/" + name if folder else name)
