"""Carrying out operations: many small ones share one sync of the file system; large ones tell how far they are."""

import contextlib
import errno
import functools
import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from undercroft.families.sync.operations import Delete, Kept, Move, Operation, Put, Settled
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages.errors import Changed, InTheWay, SourceChanged, SourceLost, Vanished
from undercroft.families.sync.storages.storage import Replaced, Storage
from undercroft.families.sync.wire import Done, Dropped, Failed
from undercroft.families.sync.worker import keeping
from undercroft.families.sync.worker.index import Index

# Small files share rounds, as many as the storage makes durable together; each larger one has its own.
SMALL = 4 * 2**20
TELL_EVERY = 0.25
A_TICK = 0.01
"""Seconds that the clock of file systems may be behind."""

_NAME = "the storage does not take this name"
_NO_ROOM = "there is no room left on the storage"


class Pace:
    """Keeps to a bandwidth, and tells how far a large file is."""

    def __init__(
        self, bandwidth: int, tell: Callable[[str, int, int], None], stopped: threading.Event | None = None
    ) -> None:
        """`stopped`: the server has hung up."""
        self._bandwidth = bandwidth
        self._tell = tell
        self._earned = time.monotonic()
        self._stopped = stopped or threading.Event()

    def of(self, path: str, size: int) -> Callable[[int], None]:
        done, told = 0, time.monotonic()

        def note(now_done: int) -> None:
            nonlocal done, told
            self.require_heard()
            if now_done > 0:
                self._wait_for(now_done - done)
            done = abs(now_done)
            if done and time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._tell(path, done, size)

        return note

    def require_heard(self) -> None:
        """Raises ConnectionAbortedError. What has arrived stays, to be gone on with."""
        if self._stopped.is_set():
            raise ConnectionAbortedError(errno.ECONNABORTED, "the server has hung up")

    def _wait_for(self, size: int) -> None:
        if not self._bandwidth:
            return
        now = time.monotonic()
        self._earned = max(self._earned, now - 0.1) + size / self._bandwidth
        if self._earned > now:
            self._stopped.wait(self._earned - now)


class Ready(NamedTuple):
    put: Put
    token: bytes


class Carrier:
    """One thread's. What it changes is busy until the result is told: a change that comes after is told after."""

    def __init__(self, entry: str, opened: Callable[[str], Storage], index: Index, pace: Pace) -> None:
        """`opened`: any entry's storage, for this thread. Raises Vanished, SourceChanged where there is none."""
        self._entry = entry
        self._opened = opened
        self._index = index
        self._pace = pace
        self._own = opened(entry)
        self._sources: dict[str, Storage] = {}
        self._blocked: list[tuple[str, Failed]] = []

    def carry_out(self, operations: list[Operation]) -> Done:
        """In this order: what goes, what moves, what comes."""
        done = Done([], [], [])
        for operation in operations:
            if isinstance(operation, Delete):
                self._attempt(operation, self._delete, done)
            elif isinstance(operation, Move):
                self._attempt(operation, self._move, done)
        self._put_all([operation for operation in operations if isinstance(operation, Put)], done)
        self._name_what_is_in_the_way()
        self._make_names_durable(done)
        self._look_at_room(done)
        return done

    def _look_at_room(self, done: Done) -> None:
        if done.kept or done.failed:
            done.room = self._own.room()

    def _make_names_durable(self, done: Done) -> None:
        """What can't be is looked at again, and told as what it is then."""
        try:
            self._own.make_names_durable([one.seen.path for one in done.settled])
        except OSError as error:
            for one in done.settled:
                self._index.doubt(one.seen.path)
            done.failed += [Failed(one.seen.path, one.version, _reason(error), False) for one in done.settled]
            done.settled.clear()

    def restore(self, path: str, place: str) -> tuple[Done, Seen | None]:
        """Put a kept version back; what lies under its name now, None where that failed."""
        done = Done([], [], [])
        seen: Seen | None = None

        def put_back(_: Put, done: Done) -> None:
            nonlocal seen
            self._index.claim(path)
            restored = self._own.restore(path, place, functools.partial(self._pace.of, path))
            self._keep(path, restored.replaced, done)
            self._index.note(restored.seen)
            seen = restored.seen

        self._attempt(Put(path, 0, Content("", 0, 0, 0), "", "", ()), put_back, done)
        self._name_what_is_in_the_way()
        for failed in done.failed:
            failed.reason = f"it could not be restored: {failed.reason}"
            failed.expected = False
        self._look_at_room(done)
        return done, seen

    def drop(self, places: list[str]) -> Dropped:
        """Those that are gone then; and what room there is."""
        return Dropped(keeping.drop(self._own, places, self._pace.require_heard), self._own.room())

    def forget_arrivals(self, asked: float) -> None:
        """Nothing was on its way by then (`time.time()`): what had arrived in part will not be gone on with."""
        with contextlib.suppress(OSError, Vanished):
            self._own.forget_old_arrivals(time.time() - asked + A_TICK)

    def _put_all(self, puts: list[Put], done: Done) -> None:
        ready: list[Ready] = []

        def receive(put: Put, _done: Done) -> None:
            ready.append(Ready(put, self._receive(put)))

        for put in puts:
            self._attempt(put, receive, done)
        if not ready:
            return
        tokens = {one.put.path: one.token for one in ready}
        fault: OSError | None = None
        try:
            self._own.make_durable([one.token for one in ready])
        except OSError as error:
            fault = error

        def place(put: Put, done: Done) -> None:
            if fault is not None:
                raise fault
            self._index.claim(put.path)
            self._place(Ready(put, tokens[put.path]), done)

        for one in ready:
            self._attempt(one.put, place, done)

    def _attempt(self, operation: Any, do: Callable[[Any, Done], None], done: Done) -> None:
        expected = is_blocked = False
        try:
            do(operation, done)
            return
        except (Changed, SourceChanged) as error:
            reason, expected = str(error), not isinstance(error, SourceLost)
            for path in paths_of(operation) if isinstance(error, Changed) else ():
                self._index.doubt(path)
        except InTheWay as error:
            reason, is_blocked = str(error), True
        except (OSError, UnicodeEncodeError, Vanished) as error:
            reason = _reason(error)
        failed = [Failed(path, operation.version, reason, expected) for path in paths_of(operation)]
        done.failed += failed
        if is_blocked:
            self._blocked += [(operation.path, one) for one in failed]

    def _name_what_is_in_the_way(self) -> None:
        """Of all that was tried, at once: names are looked through for that."""
        blocked, self._blocked = self._blocked, []
        by = self._index.in_the_way({path for path, _ in blocked})
        for path, failed in blocked:
            failed.by = by[path]

    def _receive(self, put: Put) -> bytes:
        if not put.sources:
            raise SourceChanged("nobody holds it at this moment")
        lost: SourceLost | None = None
        for entry, path in put.sources:
            try:
                return self._receive_from(entry, path, put, again=lost is not None)
            except SourceLost as error:
                lost = error
            except (SourceChanged, Vanished):
                pass
            self._doubt_source(entry)
        raise lost or SourceChanged("the source has changed meanwhile")

    def _receive_from(self, entry: str, path: str, put: Put, *, again: bool) -> bytes:
        """`again`: what another source gave before it was lost is gone on with. It may not have been what it should:
        then it is gone now, and all is read from this one."""
        try:
            with self._source(entry).open_source(path) as source:
                return self._own.receive(put, source, self._pace.of(put.path, put.content.size))
        except SourceChanged as error:
            if not again or isinstance(error, SourceLost):
                raise
        return self._receive_from(entry, path, put, again=False)

    def _place(self, one: Ready, done: Done) -> None:
        put = one.put
        placed = self._own.put_in_place(put, one.token)
        seen = Seen(put.path, put.content, placed.revision)
        self._keep(put.path, placed.replaced, done)
        self._index.note(seen)
        done.settled.append(Settled(seen, put.version))

    def _delete(self, delete: Delete, done: Done) -> None:
        self._index.claim(delete.path)
        replaced = self._own.delete(delete)
        seen = Seen(delete.path, None, "")
        self._keep(delete.path, replaced, done)
        self._index.note(seen)
        done.settled.append(Settled(seen, delete.version))

    def _move(self, move: Move, done: Done) -> None:
        self._index.claim(move.path, move.source)
        revision = self._own.move(move)
        gone = Seen(move.source, None, "")
        here = Seen(move.path, move.content, revision)
        self._index.note(gone)
        self._index.note(here)
        done.settled += [Settled(gone, move.source_version), Settled(here, move.version)]

    def _keep(self, path: str, replaced: Replaced | None, done: Done) -> None:
        if replaced is not None and replaced.place:
            done.kept.append(Kept(path, replaced.place, self._index.hash(path), replaced.size, replaced.mtime))

    def _source(self, entry: str) -> Storage:
        if entry == self._entry:
            return self._own
        if entry not in self._sources:
            self._sources[entry] = self._opened(entry)
        return self._sources[entry]

    def _doubt_source(self, entry: str) -> None:
        """A folder of this machine that was opened while its disk was not mounted is not the one that has the name now.
        Drives make their connections anew by themselves."""
        storage = self._sources.get(entry)
        if storage is not None and storage.polled is None and not storage.is_there():
            self.close_sources({entry})

    def close_sources(self, entries: Collection[str]) -> None:
        """Who needs one of them opens it anew."""
        for entry in entries:
            if storage := self._sources.pop(entry, None):
                with contextlib.suppress(OSError):
                    storage.close()

    def close(self) -> None:
        self.close_sources(list(self._sources))
        with contextlib.suppress(OSError):
            self._own.close()


def paths_of(operation: Operation) -> tuple[str, ...]:
    return (operation.path, operation.source) if isinstance(operation, Move) else (operation.path,)


def unsure_of(done: Done) -> list[str]:
    """What has to be looked at after that: something else may be there than is thought."""
    unread = [one.seen.path for one in done.settled if one.seen.content and not one.seen.revision]
    return [failed.path for failed in done.failed] + unread


def _reason(error: OSError | UnicodeEncodeError | Vanished) -> str:
    if isinstance(error, UnicodeEncodeError):
        return _NAME
    if isinstance(error, Vanished) or error.errno is None:
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _NO_ROOM
    if error.errno in (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG):
        return _NAME
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return "a link, a file or a folder of that name stands in the way"
    return os.strerror(error.errno)
