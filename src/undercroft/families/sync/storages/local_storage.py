"""A folder of this machine.

Names are bytes and stay so. No link is followed on the way into a folder, wherever it is, so that nothing outside of
the root is ever read or written. What arrives is written beside (`.undercroft/incoming`), made durable, and then takes
its name in one step; what it replaces goes to `.undercroft/versions` in the same step, so that even a change made in
that very moment is not lost.
"""

import contextlib
import errno
import io
import os
import stat
import time
from collections.abc import Callable, Iterator

from undercroft.families.sync.names import OWN_FOLDER, raw, shown
from undercroft.families.sync.operations import Delete, Move, Put, Room
from undercroft.families.sync.places import new_place
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import Changed, InTheWay, SourceChanged, Vanished
from undercroft.families.sync.storages.judging import fitting
from undercroft.families.sync.storages.local_arrivals import Arrivals
from undercroft.families.sync.storages.local_beside import expect, keep_beside, name_beside, onto_nothing, put_back
from undercroft.families.sync.storages.local_content import (
    BLOCK,
    LARGE,
    copy,
    hash_of,
    is_same,
    revision_of,
    same,
)
from undercroft.families.sync.storages.local_folders import FOLDER, READ
from undercroft.families.sync.storages.local_looking import OWN, LocalLooking
from undercroft.families.sync.storages.local_mark import Owner, require_mark
from undercroft.families.sync.storages.storage import InVersions, Pace, Placed, Replaced, Restored, Source, freely


class LocalStorage(LocalLooking):
    """For one thread: open folders are remembered."""

    polled: float | None = None
    together = 1_000
    lanes = 1

    def __init__(
        self, root: str, ignore: tuple[str, ...] = (), *, block: int = BLOCK, owner: Owner | None = None
    ) -> None:
        """`owner`: whose root it is to be; None for who only reads. Raises Vanished where there is no root."""
        super().__init__(root, ignore, block=block)
        self._owner = owner
        self._own_folders: dict[str, int] = {}
        self._arrivals = Arrivals(lambda: self._opened("incoming"))

    def check(self, expected: int) -> None:
        super().check(expected)
        _ = self._versions  # whatever is wrong with it is told now, not by the first file that is replaced
        if self._owner is not None:
            own = os.open(OWN, FOLDER, dir_fd=self._folders.root)
            try:
                require_mark(own, self.root, self._owner, expected, self.look)
            finally:
                os.close(own)
        self._arrivals.forget_those_of_others()
        self.forget_old_arrivals()

    @property
    def _incoming(self) -> int:
        return self._opened("incoming")

    @property
    def _versions(self) -> int:
        return self._opened("versions")

    def _opened(self, name: str) -> int:
        """Somebody may have removed it since: then it is made anew."""
        if name in self._own_folders and not os.fstat(self._own_folders[name]).st_nlink:
            os.close(self._own_folders.pop(name))
        if name not in self._own_folders:
            self._own_folders[name] = self._own(name)
        return self._own_folders[name]

    def _own(self, name: str) -> int:
        """Step by step: what has the name may be a link that leads out of the root. Raises Vanished."""
        above = os.dup(self._folders.root)
        for folder in (OWN_FOLDER, name):
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700, dir_fd=above)
                below = os.open(folder, FOLDER, dir_fd=above)
            except NotADirectoryError:
                raise Vanished(
                    f"in the root {self.root} a link or a file has the name of the server's own folder {folder}."
                    " Take it away, then start the entry"
                ) from None
            except OSError as error:
                raise Vanished(f"the root {self.root} can't hold {folder}: {error.strerror}") from None
            finally:
                os.close(above)
            above = below
        return above

    def receive(self, put: Put, source: Source, pace: Pace) -> bytes:
        """Write the content beside, hashed on the way; the temporary name. `pace` is told of the bytes so far.

        Raises SourceChanged where it is not what was asked for; OSError, or Changed, where another process of the entry
        is writing it, or was just now. What is left of an earlier try is gone on with.
        """
        self._folders.require_apart(put.path)
        with self._arrivals.writing(put) as (name, target):
            copy(source, target, put.content, self._block, pace)
            os.fchmod(target, put.content.mode | 0o400)
            os.utime(target, ns=(put.content.mtime, put.content.mtime))
        return name

    def make_durable(self, names: list[bytes]) -> None:
        self._arrivals.make_durable(names)

    def make_names_durable(self, paths: list[str]) -> None:
        """Raises OSError."""
        folders = {path.rpartition("/")[0] for path in paths}
        if len(folders) > 4:
            return kernel.sync(self._folders.root)
        for folder in folders:
            os.fsync(self._folders.nearest(raw(folder)))
        return None

    def put_in_place(self, put: Put, token: bytes) -> Placed:
        """Give it its name; what was there, if it was what was expected, is kept. Raises Changed, InTheWay, OSError."""
        try:
            return self._put_in_place(put, token)
        except BaseException as error:  # what is in the way of a large one may go
            if not isinstance(error, InTheWay) or put.content.size < LARGE:
                self._arrivals.discard(token)
            raise
        finally:
            self._arrivals.let_go(token)

    def _put_in_place(self, put: Put, token: bytes) -> Placed:
        folder, name = self._folders.parent(put.path, make=True)
        mine = os.stat(token, dir_fd=self._incoming, follow_symlinks=False)
        if mine.st_size != put.content.size:
            raise OSError(errno.EIO, "what arrived has not the length that it had; it is tried again")
        replaced = None
        if put.base:
            replaced = self._replace(put, token, mine, folder, name)
        else:
            onto_nothing(self._incoming, token, folder, name)
        return Placed(_revision_now(folder, name, mine), replaced)

    def _replace(self, put: Put, token: bytes, mine: os.stat_result, folder: int, name: bytes) -> Replaced:
        """What was there is in the versions in the very step in which it loses its name: a kill leaves it kept."""
        expect(folder, name, put.base)
        place = new_place(put.path).encode()
        kernel.rename(self._incoming, token, self._versions, place, kernel.NOREPLACE)
        try:
            kernel.rename(self._versions, place, folder, name, kernel.EXCHANGE)
        except OSError:
            os.unlink(place, dir_fd=self._versions)  # the temporary name may be another process's by now
            raise
        old = os.stat(place, dir_fd=self._versions, follow_symlinks=False)
        if not same(put.base, old):
            self._take_back(put, place, mine, folder, name)
            raise Changed("it was changed while its successor arrived")
        return self._kept(place, old, put.keep_as)

    def _kept(self, place: bytes, old: os.stat_result, keep_as: str) -> Replaced:
        """What has lost its name to another stays where it is, unless it can be kept beside: it is told of in any case,
        for its successor is there."""
        kept_as = ""
        if keep_as:
            with contextlib.suppress(Changed, InTheWay, OSError):
                kept_as = keep_beside(self._folders, self._versions, place, keep_as)
        return Replaced("" if kept_as else place.decode(), kept_as, old.st_size, fitting(old.st_mtime_ns))

    def _take_back(self, put: Put, place: bytes, mine: os.stat_result, folder: int, name: bytes) -> None:
        kernel.rename(self._versions, place, folder, name, kernel.EXCHANGE)
        if is_same(mine, os.stat(place, dir_fd=self._versions, follow_symlinks=False)):
            os.unlink(place, dir_fd=self._versions)
        else:
            keep_beside(self._folders, self._versions, place, name_beside(put.path))

    def delete(self, delete: Delete) -> Replaced:
        """To the versions, or beside under another name. Raises Changed, or OSError."""
        folder, name = self._folders.parent(delete.path)
        expect(folder, name, delete.base)
        place = new_place(delete.path).encode()
        kernel.rename(folder, name, self._versions, place, kernel.NOREPLACE)
        old = os.stat(place, dir_fd=self._versions, follow_symlinks=False)
        if not same(delete.base, old):
            put_back(self._folders, self._versions, place, folder, name, delete.path)
            raise Changed("it was changed while it was deleted")
        replaced = self._kept(place, old, delete.keep_as)
        self._folders.prune(raw(delete.path).rpartition(b"/")[0])
        return replaced

    def move(self, move: Move) -> str:
        """The revision under the new name; "" where it has to be read again. Raises Changed, InTheWay, OSError."""
        source_folder, source = self._folders.parent(move.source)
        expect(source_folder, source, move.source_base)
        source_folder = os.dup(source_folder)
        try:
            folder, name = self._folders.parent(move.path, make=True)
            onto_nothing(source_folder, source, folder, name)
            moved = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not same(move.source_base, moved):
                put_back(self._folders, folder, name, source_folder, source, move.source)
                raise Changed("it was changed while it was moved")
        finally:
            os.close(source_folder)
        self._folders.prune(raw(move.source).rpartition(b"/")[0])
        return self._dress(move, moved)

    def _dress(self, move: Move, moved: os.stat_result) -> str:
        """Give what was moved its time and mode. A change in this very moment would have that time as well."""
        mode = move.content.mode | 0o400
        if moved.st_mtime_ns == move.content.mtime and stat.S_IMODE(moved.st_mode) == mode:
            return revision_of(moved)
        descriptor = self._folders.open(move.path)
        try:
            os.fchmod(descriptor, mode)
            os.utime(descriptor, ns=(move.content.mtime, move.content.mtime))
        finally:
            os.close(descriptor)
        return ""

    def restore(self, path: str, place: str, paced: Callable[[int], Pace]) -> Restored:
        """A kept version under this name, over whatever is there; `paced` gives the pace of so many bytes.

        Raises Changed, SourceChanged, OSError.
        """
        with io.FileIO(os.open(place.encode(), READ, dir_fd=self._versions)) as source:
            about = os.fstat(source.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise SourceChanged("what was kept is a file no more")
            pace = paced(about.st_size)
            digest = hash_of(source.fileno(), about.st_size, lambda _: pace(0))  # none of it arrives yet
            content = Content(digest, about.st_size, time.time_ns(), about.st_mode & 0o777)
            source.seek(0)
            put = Put(path, 0, content, self.look(path) or "", "", ())
            token = self.receive(put, source, pace)
        self.make_durable([token])
        placed = self.put_in_place(put, token)
        self.make_names_durable([path])
        return Restored(Seen(path, content, placed.revision), placed.replaced)

    def versions(self) -> Iterator[InVersions]:
        with os.scandir(self._versions) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(about.st_mode):
                        yield InVersions(shown(os.fsencode(entry.name)), about.st_size, fitting(about.st_mtime_ns))

    def hash_of_version(self, place: str, pace: Pace = freely) -> str:
        with io.FileIO(os.open(place.encode(), READ, dir_fd=self._versions)) as kept:
            return hash_of(kept.fileno(), os.fstat(kept.fileno()).st_size, pace)

    def drop(self, place: str) -> None:
        """A kept version whose time is over."""
        if "/" not in place:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place.encode(), dir_fd=self._versions)

    def room(self) -> Room | None:
        with contextlib.suppress(OSError, Vanished):
            disk = os.fstatvfs(self._versions)
            return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        return None

    def forget_old_arrivals(self, older_than: float = 86_400) -> None:
        self._arrivals.forget_old(older_than)

    def close(self) -> None:
        self._arrivals.close()
        while self._own_folders:
            os.close(self._own_folders.popitem()[1])
        self._folders.close()


def _revision_now(folder: int, name: bytes, mine: os.stat_result) -> str:
    """What was just put there; or, where somebody else has changed it since, what it was: that will be noticed."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return revision_of(mine)
    return revision_of(now if is_same(mine, now) else mine)
