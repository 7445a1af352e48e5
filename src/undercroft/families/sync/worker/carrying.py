"""Carrying out operations: many small ones share one sync of the file system; large ones tell how far they are."""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from undercroft.families.sync.actions import Kept, Settled
from undercroft.families.sync.model import option
from undercroft.families.sync.reconcile import Delete, Move, Operation, Put, Seen
from undercroft.families.sync.storages.errors import Changed, SourceChanged, Vanished
from undercroft.families.sync.storages.local_storage import LocalStorage, Replaced
from undercroft.families.sync.wire import Done, Failed
from undercroft.families.sync.worker.index import Index

# A round of small files: one sync for all. Those that are larger have rounds of their own.
ROUND = 1_000
SMALL = 4 * 2**20
TELL_EVERY = 0.25

_NO_ROOM = "there is no room left on the storage"


class Pace:
    """Keeps to a bandwidth, and tells how far a large file is."""

    def __init__(self, bandwidth: int, tell: Callable[[str, int, int], None]) -> None:
        self._bandwidth = bandwidth
        self._tell = tell
        self._earned = time.monotonic()

    def of(self, put: Put) -> Callable[[int], None]:
        done, told = 0, time.monotonic()

        def note(now_done: int) -> None:
            nonlocal done, told
            self._wait_for(now_done - done)
            done = now_done
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._tell(put.path, done, put.content.size)

        return note

    def _wait_for(self, size: int) -> None:
        if not self._bandwidth:
            return
        now = time.monotonic()
        self._earned = max(self._earned, now - 0.1) + size / self._bandwidth
        if self._earned > now:
            time.sleep(self._earned - now)


class Ready(NamedTuple):
    put: Put
    temporary: bytes


class Carrier:
    """One thread's."""

    def __init__(self, entry: str, storages: dict[str, tuple[str, dict[str, Any]]], index: Index, pace: Pace) -> None:
        self._entry = entry
        self._storages = storages
        self._index = index
        self._pace = pace
        options = storages[entry][1]
        self._own = LocalStorage(options["root"], block=option(options, "chunk_size"))
        self._sources: dict[str, LocalStorage] = {}

    def carry_out(self, operations: list[Operation]) -> Done:
        """In this order: what goes, what moves, what comes."""
        done = Done([], [], [])
        for operation in operations:
            if isinstance(operation, Delete):
                self._attempt(operation, self._delete, done)
            elif isinstance(operation, Move):
                self._attempt(operation, self._move, done)
        self._put_all([operation for operation in operations if isinstance(operation, Put)], done)
        if done.settled:
            self._own.make_names_durable([one.seen.path for one in done.settled])
        return done

    def restore(self, path: str, place: str) -> Done:
        """Put a kept version back. It is told as any change that is made in the folder."""
        done = Done([], [], [])
        try:
            source = self._own.open_kept(place)
            try:
                put = self._own.as_put(path, source)
                temporary = self._own.receive(put, source, self._pace.of(put))
            finally:
                os.close(source)
            self._own.make_durable([temporary])
            self._keep(path, self._own.put_in_place(put, temporary), done)
        except (Changed, SourceChanged, OSError) as error:
            done.failed.append(Failed(path, 0, f"it could not be restored: {error}", False))
        return done

    def drop(self, places: list[str]) -> None:
        for place in places:
            self._own.drop(place)

    def _put_all(self, puts: list[Put], done: Done) -> None:
        ready: list[Ready] = []

        def receive(put: Put, _done: Done) -> None:
            ready.append(Ready(put, self._receive(put)))

        for put in puts:
            self._attempt(put, receive, done)
        if not ready:
            return
        self._own.make_durable([one.temporary for one in ready])
        temporary = {one.put.path: one.temporary for one in ready}

        def place(put: Put, done: Done) -> None:
            self._place(Ready(put, temporary[put.path]), done)

        for one in ready:
            self._attempt(one.put, place, done)

    def _attempt(self, operation: Any, do: Callable[[Any, Done], None], done: Done) -> None:
        paths = {operation.path, operation.source} if isinstance(operation, Move) else {operation.path}
        try:
            self._index.busy |= paths
            do(operation, done)
        except (Changed, SourceChanged) as error:
            done.failed += [Failed(path, operation.version, str(error), True) for path in paths]
        except OSError as error:
            done.failed += [Failed(path, operation.version, _reason(error), False) for path in paths]
        finally:
            self._index.busy -= paths

    def _receive(self, put: Put) -> bytes:
        if not put.sources:
            raise SourceChanged("nobody holds it at this moment")
        for entry, path in put.sources:
            try:
                source = self._source(entry).open_source(path)
            except (SourceChanged, Vanished):
                continue
            try:
                return self._own.receive(put, source, self._pace.of(put))
            except SourceChanged:
                continue
            finally:
                os.close(source)
        raise SourceChanged("the source has changed meanwhile")

    def _place(self, one: Ready, done: Done) -> None:
        put = one.put
        replaced = self._own.put_in_place(put, one.temporary)
        seen = Seen(put.path, put.content, self._own.look(put.path) or "")
        self._keep(put.path, replaced, done)
        self._index.note(seen)
        done.settled.append(Settled(seen, put.version))

    def _delete(self, delete: Delete, done: Done) -> None:
        replaced = self._own.delete(delete)
        seen = Seen(delete.path, None, "")
        self._keep(delete.path, replaced, done)
        self._index.note(seen)
        done.settled.append(Settled(seen, delete.version))

    def _move(self, move: Move, done: Done) -> None:
        self._own.move(move)
        gone = Seen(move.source, None, "")
        here = Seen(move.path, move.content, self._own.look(move.path) or "")
        self._index.note(gone)
        self._index.note(here)
        done.settled += [Settled(gone, move.source_version), Settled(here, move.version)]

    def _keep(self, path: str, replaced: Replaced | None, done: Done) -> None:
        if replaced is not None and replaced.place:
            done.kept.append(Kept(path, replaced.place, self._index.hash(path), replaced.size, replaced.mtime))

    def _source(self, entry: str) -> LocalStorage:
        if entry == self._entry:
            return self._own
        if entry not in self._sources:
            if entry not in self._storages:
                raise SourceChanged(f"there is no entry {entry}")
            self._sources[entry] = LocalStorage(self._storages[entry][1]["root"], reading=True)
        return self._sources[entry]

    def close(self) -> None:
        for storage in (self._own, *self._sources.values()):
            with contextlib.suppress(OSError):
                storage.close()


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _NO_ROOM
    if error.errno in (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG):
        return "the storage does not take this name"
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return "a link, a file or a folder of that name stands in the way"
    return os.strerror(error.errno or 0)
