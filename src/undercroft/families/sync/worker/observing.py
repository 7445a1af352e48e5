"""Looking at what others do in the storage, and telling what was found. Runs in one thread."""

import math
import threading
import time
from collections.abc import Callable, Collection, Container, Iterable

from asyncinotify import Inotify, Watch

from undercroft.families.sync.names import raw
from undercroft.families.sync.reconcile import Seen
from undercroft.families.sync.storages.errors import LeftAlone, Vanished
from undercroft.families.sync.storages.storage import Storage
from undercroft.families.sync.wire import Message, Scanned
from undercroft.families.sync.worker.found import Found
from undercroft.families.sync.worker.index import Index, below
from undercroft.families.sync.worker.pages import BATCH, Look, Page
from undercroft.families.sync.worker.skips import Skips
from undercroft.families.sync.worker.watching import Watched

GONE = "the root is gone, or another has taken its place; nothing was deleted elsewhere"
Tell = Callable[[Message], None]


class HungUp(Exception):
    """The server hears nothing more of what is found."""


class _Grown(Exception):
    """It has become large while it was read."""


class Observer:
    def __init__(
        self,
        storage: Storage,
        index: Index,
        inotify: Inotify | None,
        tell: Tell,
        stopped: threading.Event | None = None,
        large_from: float = math.inf,
    ) -> None:
        """`stopped`: the server has hung up: whatever is being looked at, HungUp is raised. `large_from`: so many bytes
        are read beside, and taken from there."""
        self._storage = storage
        self._index = index
        self._tell = tell
        self._stopped = stopped or threading.Event()
        self._skips = storage.skipped = Skips()
        self._watched = Watched(inotify, self._skips, storage.is_ignored)
        self._large_from = large_from
        self._found = Found(large_from)
        self._unsure: list[str] = []
        """Of what was found gone, what only was not listed."""
        self._scanned: Scanned | None = None
        self._page = Page(index, tell)
        self._looks = 0

    @property
    def vanished(self) -> int:
        """So many files more have gone than are new, and that is not told yet."""
        return self._found.vanished

    @property
    def folders(self) -> dict[Watch, bytes]:
        """Those that are watched."""
        return self._watched.folders

    def next_large(self, but: Container[str]) -> tuple[str, str] | None:
        """Path and revision of what is to be read beside; between two looks."""
        path = self._found.first_large(but)
        return (path, self._found.large[path]) if path is not None else None

    def is_wanted(self, path: str, revision: str) -> bool:
        """Whether that is still to be read."""
        return self._found.large.get(path) == revision

    # Looking

    def scan(self) -> None:
        """Look at everything; what was found and not told before is found again. Raises Vanished.

        Where nothing was known, what is there is told while it is looked for: nothing can have gone.
        """
        began, files = time.monotonic(), 0
        self._skips.clear()
        self._page.clear()
        self._found = found = Found(self._large_from, self._found)
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
            if was_known or found.is_large(revision):
                found.note(path, before, revision)
            else:
                self._read_into_page(path)
        found.emptied = was_known and not files
        for path in missing:
            self._miss(path)
        if not self._storage.is_there():
            raise Vanished(GONE)
        self._watched.take(self._index.arrived)
        found.owe_large()
        if not self._looks:
            self._skips.tell_all()
        self._scanned = Scanned(files, time.monotonic() - began)

    def look_at(self, paths: Collection[str]) -> None:
        """Look at these again, which may be folders. Raises Vanished."""
        self._watched.take(self._index.arrived)
        here: list[bytes] = []
        changed: set[str] = set()
        unseen = self._watched.unseen_below(paths)
        for path in paths:
            name = raw(path)
            if self._storage.is_ignored(name) and path not in self._index:
                continue  # one that came from another entry is kept as all others are
            self._skips.forget(path)
            self._look_again(path)
            if name in self._watched.names:
                changed.add(path)
            if self._storage.is_folder(path):
                here.append(name)
            else:
                self._watched.names.discard(name)
        self._look_below(here, changed, unseen)
        if self._found.gone and not self._storage.is_there():
            raise Vanished(GONE)

    def _look_below(self, here: list[bytes], changed: set[str], unseen: Iterable[str]) -> None:
        """`here`: folders; `changed`: those that were known: they are gone, or others may have taken their places;
        `unseen`: files that have come into some."""
        missing = {*self._index.below(changed), *below(self._found.large, changed), *unseen}
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
        self.go_on()
        self._watched.add(folder, descriptor)

    def _look_again(self, path: str) -> None:
        before = self._index.revision(path)
        self._found.note(path, before, self._look(path))

    def _look(self, path: str) -> str | None:
        self.go_on()
        try:
            return self._storage.look(path)
        except LeftAlone:
            return self._index.revision(path)  # its folder is told of
        except OSError as error:
            self._skips[path] = f"it can't be read: {error.strerror}"
            return self._index.revision(path)  # unreadable is not gone

    def _miss(self, path: str) -> None:
        """Where each look is a request it is looked at when it is told: until then all is listed again as often as more
        may be vanishing."""
        before = self._index.revision(path)
        if self._storage.polled is None or before is None or self._storage.is_left_alone(path):
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
        waiting = self._found.waiting()
        for path in [path for path in self._found.gone if path not in waiting]:
            self._page.add(self._taken(path))
            if len(self._page) >= BATCH:
                self._report(vanished)
        self._report(vanished)
        self._found.forget_told()
        for skipped in self._skips.untold():
            self._tell(skipped)
        if self._scanned is not None and not self._found.is_owing:
            self._tell(self._scanned)
            self._scanned = None
        return self._page.taken_later()

    def tell_here(self) -> list[str]:
        """As `tell`, but of what is gone only what was renamed: more may be vanishing at this moment."""
        self._looks += 1
        self._tell_here(0)
        self._report(0)
        return self._page.taken_later()

    def take(self, path: str, revision: str, result: Callable[[], Seen | None]) -> None:
        """A large file was read beside: it is told, with what it was renamed from. One that has changed meanwhile is
        looked at again; until then what waits for it waits on."""
        if not self.is_wanted(path, revision):
            return
        seen = self._outcome(path, lambda: self._if_still(result()))
        self._found.owe_no_more(path)
        if path in self._page.later:
            return
        is_new = self._found.forget_large(path)
        if seen is not None and seen.revision != (before := self._index.revision(path)):
            self._page.add(Look(seen, before))
            self._join(seen, is_new, self._going())
            self._looks += 1
            self._report(0)

    def _if_still(self, seen: Seen | None) -> Seen | None:
        """What was read may be another's by now, or of another root that had this name for a moment."""
        return seen if seen is not None and self._storage.look(seen.path) == seen.revision else None

    def _tell_here(self, vanished: int) -> None:
        going = self._going() if self._found.here else {}
        for path in list(self._found.here):
            seen, is_new = self._read_into_page(path), self._found.here.pop(path)
            if seen is not None:
                self._join(seen, is_new, going)
            if self._page.is_full:
                self._report(vanished)

    def _going(self) -> dict[str, list[str]]:
        """Hash → what is gone of that content."""
        going: dict[str, list[str]] = {}
        for path in self._found.gone:
            going.setdefault(self._index.hash(path), []).append(path)
        return going

    def _join(self, seen: Seen, is_new: bool, going: dict[str, list[str]]) -> None:
        """The other half of a rename goes into the same page."""
        if seen.content is not None and (same := going.get(seen.content.hash)):
            self._page.add(self._taken(same.pop()))
        else:
            self._found.told += is_new

    def _taken(self, path: str) -> Look:
        return Look(Seen(path, None, ""), self._found.gone.pop(path))

    def _read_into_page(self, path: str) -> Seen | None:
        """The page is told first where it is full."""
        if self._page.is_full:
            self._report(0)
        self._page.begin()
        before = self._index.revision(path)
        self.go_on()
        seen = self._outcome(path, lambda: self._storage.read(path, self._go_on_reading))
        if seen is None or seen.revision == before:
            return None
        self._page.add(Look(seen, before))
        return seen

    def _go_on_reading(self, done: int) -> None:
        self.go_on()
        if done > 2 * self._large_from:
            raise _Grown

    def _outcome(self, path: str, read: Callable[[], Seen | None]) -> Seen | None:
        """None where there is nothing to tell now."""
        seen = None
        try:
            seen = None if path in self._index.busy else read()
        except (FileNotFoundError, NotADirectoryError, _Grown):
            pass
        except OSError as error:
            self._skips[path] = f"it can't be read: {error.strerror}"
            return None
        if seen is None:
            self._page.later.append(path)
        return seen

    def _report(self, vanished: int) -> None:
        self._page.report(self._looks, vanished, self._found.emptied)
