"""A folder of this machine.

Names are bytes and stay so. Every step into a folder is taken from the one above it and follows no link, so that
nothing outside of the root is ever read or written. What arrives is written beside (`.undercroft/incoming`), made
durable, and then takes its name in one step; what it replaces goes to `.undercroft/versions` in the same step, so that
even a change made in that very moment is not lost.
"""

import contextlib
import functools
import io
import os
import time

from blake3 import blake3

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import raw, shown
from undercroft.families.sync.reconcile import Content, Delete, Move, Put, Seen
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import Changed, SourceChanged
from undercroft.families.sync.storages.local_content import copy, hash_of, revision_of, same
from undercroft.families.sync.storages.local_folders import FOLDER, READ, joined, remove_empty
from undercroft.families.sync.storages.local_looking import OWN, LocalLooking
from undercroft.families.sync.storages.storage import Pace, Placed, Replaced, Restored, Source


class LocalStorage(LocalLooking):
    """For one thread: open folders are remembered."""

    polled: float | None = None
    together = 1_000
    lanes = 1

    def check(self, expected: int) -> None:
        super().check(expected)
        self.forget_old_arrivals()

    @functools.cached_property
    def _incoming(self) -> int:
        return self._own("incoming")

    @functools.cached_property
    def _versions(self) -> int:
        return self._own("versions")

    def _own(self, name: str) -> int:
        for folder in (OWN, OWN + b"/" + name.encode()):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=self._folders.root)
        own = os.open(OWN, FOLDER, dir_fd=self._folders.root)
        try:
            return os.open(name.encode(), FOLDER, dir_fd=own)
        finally:
            os.close(own)

    def receive(self, put: Put, source: Source, pace: Pace) -> bytes:
        """Write the content beside, hashed on the way; the temporary name. `pace` is told of the bytes so far.

        Raises SourceChanged where it is not what was asked for. What is left of an earlier try is gone on with.
        """
        name = blake3(put.path.encode()).hexdigest(8).encode() + b"-" + put.content.hash[:40].encode()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=self._incoming)
        try:
            copy(source, target, put.content, self._block, pace)
            os.fchmod(target, put.content.mode | 0o400)
            os.utime(target, ns=(put.content.mtime, put.content.mtime))
        except SourceChanged:
            os.unlink(name, dir_fd=self._incoming)
            raise
        finally:
            os.close(target)
        return name

    def make_durable(self, names: list[bytes]) -> None:
        """Few files one by one, many with all else of the file system."""
        if len(names) > 4:
            return kernel.sync(self._folders.root)
        for name in names:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._incoming)
            os.fsync(descriptor)
            os.close(descriptor)
        return None

    def make_names_durable(self, paths: list[str]) -> None:
        folders = {raw(path).rpartition(b"/")[0] for path in paths}
        if len(folders) > 4:
            return kernel.sync(self._folders.root)
        for folder in folders:
            with contextlib.suppress(OSError):
                os.fsync(self._folders.at(folder))
        return None

    def put_in_place(self, put: Put, token: bytes) -> Placed:
        """Give it its name; what was there, if it was what was expected, is kept. Raises Changed, or OSError."""
        folder, name = self._folders.parent(put.path, make=True)
        mine = os.stat(token, dir_fd=self._incoming, follow_symlinks=False)
        replaced = None
        if put.base:
            replaced = self._replace(put, token, folder, name)
        else:
            self._onto_nothing(self._incoming, token, folder, name)
        return Placed(_revision_now(folder, name, mine), replaced)

    def _replace(self, put: Put, token: bytes, folder: int, name: bytes) -> Replaced:
        self._expect(folder, name, put.base)
        kernel.rename(self._incoming, token, folder, name, kernel.EXCHANGE)
        old = os.stat(token, dir_fd=self._incoming, follow_symlinks=False)
        if not same(put.base, old):
            kernel.rename(self._incoming, token, folder, name, kernel.EXCHANGE)
            os.unlink(token, dir_fd=self._incoming)
            raise Changed("it was changed while its successor arrived")
        if put.keep_as:
            return Replaced("", self._keep_beside(token, put.keep_as), old.st_size, old.st_mtime_ns)
        place = sortable_id().encode()
        kernel.rename(self._incoming, token, self._versions, place, kernel.NOREPLACE)
        return Replaced(place.decode(), "", old.st_size, old.st_mtime_ns)

    def delete(self, delete: Delete) -> Replaced:
        """To the versions. Raises Changed, or OSError."""
        folder, name = self._folders.parent(delete.path)
        self._expect(folder, name, delete.base)
        place = sortable_id().encode()
        kernel.rename(folder, name, self._versions, place, kernel.NOREPLACE)
        old = os.stat(place, dir_fd=self._versions, follow_symlinks=False)
        if not same(delete.base, old):
            with contextlib.suppress(FileExistsError):
                kernel.rename(self._versions, place, folder, name, kernel.NOREPLACE)
            raise Changed("it was changed while it was deleted")
        self._folders.prune(raw(delete.path).rpartition(b"/")[0])
        return Replaced(place.decode(), "", old.st_size, old.st_mtime_ns)

    def move(self, move: Move) -> str:
        """The revision under the new name. Raises Changed, or OSError."""
        source_folder, source = self._folders.parent(move.source)
        self._expect(source_folder, source, move.source_base)
        source_folder = os.dup(source_folder)
        try:
            folder, name = self._folders.parent(move.path, make=True)
            self._onto_nothing(source_folder, source, folder, name)
        finally:
            os.close(source_folder)
        self._folders.prune(raw(move.source).rpartition(b"/")[0])
        descriptor = self._folders.open(move.path)
        os.fchmod(descriptor, move.content.mode | 0o400)
        os.utime(descriptor, ns=(move.content.mtime, move.content.mtime))
        os.close(descriptor)
        return self.look(move.path) or ""

    def restore(self, path: str, place: str, pace: Pace) -> Restored:
        """A kept version under this name, over whatever is there. Raises Changed, SourceChanged, OSError."""
        with io.FileIO(os.open(place.encode(), READ, dir_fd=self._versions)) as source:
            about = os.fstat(source.fileno())
            content = Content(
                hash_of(source.fileno(), about.st_size), about.st_size, time.time_ns(), about.st_mode & 0o777
            )
            source.seek(0)
            put = Put(path, 0, content, self.look(path) or "", "", ())
            token = self.receive(put, source, pace)
        self.make_durable([token])
        placed = self.put_in_place(put, token)
        self.make_names_durable([path])
        return Restored(Seen(path, content, placed.revision), placed.replaced)

    def drop(self, place: str) -> None:
        """A kept version whose time is over."""
        if "/" not in place:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place.encode(), dir_fd=self._versions)

    def forget_old_arrivals(self, older_than: float = 86_400) -> None:
        """What began to arrive and was never finished."""
        for name in os.listdir(self._incoming):  # noqa: PTH208 - a descriptor
            with contextlib.suppress(FileNotFoundError):
                about = os.stat(name, dir_fd=self._incoming, follow_symlinks=False)
                if about.st_ctime < time.time() - older_than:
                    os.unlink(name, dir_fd=self._incoming)

    # Parts

    def _expect(self, folder: int, name: bytes, revision: str) -> None:
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise Changed("it vanished meanwhile") from None
        if revision_of(about) != revision:
            raise Changed("it was changed meanwhile")

    def _onto_nothing(self, source_folder: int, source: bytes, folder: int, name: bytes) -> None:
        try:
            kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)
        except FileExistsError:
            if not remove_empty(folder, name):
                raise Changed("there is another under this name meanwhile") from None
            self._folders.forget()
            kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)

    def _keep_beside(self, temporary: bytes, wanted: str) -> str:
        folder, name = self._folders.parent(wanted, make=True)
        for number in range(1_000):
            stem, dot, extension = name.rpartition(b".")
            mark = b"-%d" % number if number else b""
            other = stem + mark + dot + extension if stem else name + mark
            with contextlib.suppress(FileExistsError):
                kernel.rename(self._incoming, temporary, folder, other, kernel.NOREPLACE)
                return shown(joined(raw(wanted).rpartition(b"/")[0], other))
        raise Changed("too many conflicts under one name")

    def close(self) -> None:
        for name in ("_incoming", "_versions"):
            if name in self.__dict__:
                os.close(self.__dict__.pop(name))
        self._folders.close()


def _revision_now(folder: int, name: bytes, mine: os.stat_result) -> str:
    """What was just put there; or, where somebody else has changed it since, what it was: that will be noticed."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return revision_of(mine)
    mine_still = same(revision_of(mine), now)
    return revision_of(now if mine_still else mine)
