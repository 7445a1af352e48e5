"""A folder of this machine.

Names are bytes and stay so. Every step into a folder is taken from the one above it and follows no link, so that
nothing outside of the root is ever read or written. What arrives is written beside (`.undercroft/incoming`), made
durable, and then takes its name in one step; what it replaces goes to `.undercroft/versions` in the same step, so that
even a change made in that very moment is not lost.
"""

import contextlib
import errno
import fnmatch
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import LONGEST_PATH, OWN_FOLDER, raw, shown
from undercroft.families.sync.reconcile import Content, Delete, Move, Put, Seen
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import Changed, SourceChanged, Vanished

OWN = OWN_FOLDER.encode()
BLOCK = 2**20
# Larger ones are hashed on all cores, and tell how far they are.
LARGE = 8 * 2**20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_OPEN = 64


class Found(NamedTuple):
    path: str
    revision: str


class Replaced(NamedTuple):
    """`place`: in the versions area; or `kept_as`: beside."""

    place: str
    kept_as: str
    size: int
    mtime: int


class LocalStorage:
    """For one thread: open folders are remembered."""

    def __init__(self, root: str, ignore: tuple[str, ...] = (), *, block: int = BLOCK, reading: bool = False) -> None:
        """`block`: bytes that are copied at a time; `reading`: another entry's worker, which only reads here."""
        self.root = os.fsencode(Path(root).absolute())
        self._ignore = ignore
        self._block = block
        self._folders: OrderedDict[bytes, int] = OrderedDict()
        self.skipped: dict[str, str] = {}
        try:
            self._root = os.open(self.root, _FOLDER)
        except OSError as error:
            raise Vanished(f"the root {root} can't be opened: {error.strerror}") from None
        if not reading:
            self._incoming = self._own("incoming")
            self._versions = self._own("versions")

    @staticmethod
    def check(root: str, expected: int) -> None:
        """Raises Vanished for a root that is missing, or that is not where `expected` files were."""
        try:
            with os.scandir(os.fsencode(root)) as entries:
                names = {os.fsencode(entry.name) for entry in entries}
        except OSError as error:
            raise Vanished(f"the root {root} can't be read: {error.strerror}") from None
        if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            raise Vanished(f"the root {root} may not be written")
        if expected and OWN not in names:
            raise Vanished(
                f"the root {root} is not the folder that it was: its {OWN_FOLDER} is missing."
                " Is a disk not mounted? Nothing was deleted elsewhere"
            )

    def _own(self, name: str) -> int:
        for folder in (OWN, OWN + b"/" + name.encode()):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=self._root)
        own = os.open(OWN, _FOLDER, dir_fd=self._root)
        try:
            return os.open(name.encode(), _FOLDER, dir_fd=own)
        finally:
            os.close(own)

    # Looking

    def is_there(self) -> bool:
        """Whether the root's name still leads to the folder that was opened."""
        try:
            now, then = os.lstat(self.root), os.fstat(self._root)
            os.stat(OWN, dir_fd=self._root)
        except OSError:
            return False
        return (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)

    def walk(self, below: bytes, on_folder: Callable[[bytes, int], None]) -> Iterator[Found]:
        """Every file below a folder (b"" is the root). `on_folder` is called with each one's path and descriptor before
        it is read: what appears there from then on is noticed by a watch."""
        waiting = [below]
        while waiting:
            folder = waiting.pop()
            try:
                descriptor = os.dup(self._folder(folder))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    self.skipped[shown(folder)] = f"this folder can't be read: {error.strerror}"
                continue
            try:
                on_folder(folder, descriptor)
                with os.scandir(descriptor) as entries:
                    yield from self._entries(folder, entries, waiting)
            except OSError as error:
                self.skipped[shown(folder)] = f"this folder can't be read: {error.strerror}"
            finally:
                os.close(descriptor)

    def _entries(self, folder: bytes, entries: Iterator["os.DirEntry[str]"], waiting: list[bytes]) -> Iterator[Found]:
        for entry in entries:
            path = _joined(folder, os.fsencode(entry.name))
            if self.is_ignored(path):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                    continue
                about = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            reason = _unfit(about.st_mode, path)
            if reason is None:
                yield Found(shown(path), _revision(about))
            else:
                self.skipped[shown(path)] = reason

    def is_ignored(self, path: bytes) -> bool:
        if path == OWN or path.startswith(OWN + b"/"):
            return True
        text = shown(path)
        name = text.rpartition("/")[2]
        return any(fnmatch.fnmatchcase(text, p) or fnmatch.fnmatchcase(name, p) for p in self._ignore)

    def is_folder(self, path: str) -> bool:
        about = self._stat(raw(path))
        return about is not None and stat.S_ISDIR(about.st_mode)

    def look(self, path: str) -> str | None:
        """The revision of the file that is there; None where there is no file."""
        name = raw(path)
        about = self._stat(name)
        if about is None or stat.S_ISDIR(about.st_mode):
            return None
        reason = _unfit(about.st_mode, name)
        if reason is not None:
            self.skipped[path] = reason
            return None
        self.skipped.pop(path, None)
        return _revision(about)

    def read(self, path: str) -> Seen | None:
        """Hash it. None where it changes meanwhile. Raises OSError where it can't be read."""
        descriptor = self._open(path)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                return None
            digest = _hash_of(descriptor, before.st_size)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if _revision(before) != _revision(after):
            return None
        content = Content(digest, after.st_size, after.st_mtime_ns, stat.S_IMODE(after.st_mode) & 0o777)
        return Seen(path, content, _revision(after))

    def open_source(self, path: str) -> int:
        """A descriptor to read from. Raises SourceChanged where there is no file."""
        try:
            return self._open(path)
        except OSError as error:
            raise SourceChanged(f"{path} can't be read: {error.strerror}") from None

    def open_kept(self, place: str) -> int:
        return os.open(place.encode(), _READ, dir_fd=self._versions)

    def as_put(self, path: str, source: int) -> Put:
        """To put what an open file holds under this name, over whatever is there."""
        about = os.fstat(source)
        content = Content(_hash_of(source, about.st_size), about.st_size, time.time_ns(), about.st_mode & 0o777)
        os.lseek(source, 0, os.SEEK_SET)
        return Put(path, 0, content, self.look(path) or "", "", ())

    def shared_links(self, path: str) -> bool:
        about = self._stat(raw(path))
        return about is not None and about.st_nlink > 1

    # Changing

    def receive(self, put: Put, source: int, pace: Callable[[int], None]) -> bytes:
        """Write the content beside, hashed on the way; the temporary name. `pace` is told of the bytes so far.

        Raises SourceChanged where it is not what was asked for. What is left of an earlier try is gone on with.
        """
        name = blake3(put.path.encode()).hexdigest(8).encode() + b"-" + put.content.hash[:40].encode()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=self._incoming)
        try:
            _copy(source, target, put.content, self._block, pace)
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
            return kernel.sync(self._root)
        for name in names:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._incoming)
            os.fsync(descriptor)
            os.close(descriptor)
        return None

    def make_names_durable(self, paths: list[str]) -> None:
        folders = {raw(path).rpartition(b"/")[0] for path in paths}
        if len(folders) > 4:
            return kernel.sync(self._root)
        for folder in folders:
            with contextlib.suppress(OSError):
                os.fsync(self._folder(folder))
        return None

    def put_in_place(self, put: Put, temporary: bytes) -> Replaced | None:
        """Give it its name; what was there, if it was what was expected. Raises Changed, or OSError."""
        folder, name = self._parent(put.path, make=True)
        if not put.base:
            self._onto_nothing(self._incoming, temporary, folder, name)
            return None
        self._expect(folder, name, put.base)
        kernel.rename(self._incoming, temporary, folder, name, kernel.EXCHANGE)
        old = os.stat(temporary, dir_fd=self._incoming, follow_symlinks=False)
        if not _same(put.base, old):
            kernel.rename(self._incoming, temporary, folder, name, kernel.EXCHANGE)
            os.unlink(temporary, dir_fd=self._incoming)
            raise Changed("it was changed while its successor arrived")
        if put.keep_as:
            return Replaced("", self._keep_beside(temporary, put.keep_as), old.st_size, old.st_mtime_ns)
        return self._to_versions(self._incoming, temporary, old)

    def delete(self, delete: Delete) -> Replaced:
        """To the versions. Raises Changed, or OSError."""
        folder, name = self._parent(delete.path)
        self._expect(folder, name, delete.base)
        place = sortable_id().encode()
        kernel.rename(folder, name, self._versions, place, kernel.NOREPLACE)
        old = os.stat(place, dir_fd=self._versions, follow_symlinks=False)
        if not _same(delete.base, old):
            with contextlib.suppress(FileExistsError):
                kernel.rename(self._versions, place, folder, name, kernel.NOREPLACE)
            raise Changed("it was changed while it was deleted")
        self._prune(raw(delete.path).rpartition(b"/")[0])
        return Replaced(place.decode(), "", old.st_size, old.st_mtime_ns)

    def move(self, move: Move) -> None:
        """Raises Changed, or OSError."""
        source_folder, source = self._parent(move.source)
        self._expect(source_folder, source, move.source_base)
        source_folder = os.dup(source_folder)
        try:
            folder, name = self._parent(move.path, make=True)
            self._onto_nothing(source_folder, source, folder, name)
        finally:
            os.close(source_folder)
        self._prune(raw(move.source).rpartition(b"/")[0])
        descriptor = self._open(move.path)
        os.fchmod(descriptor, move.content.mode | 0o400)
        os.utime(descriptor, ns=(move.content.mtime, move.content.mtime))
        os.close(descriptor)

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
        if _revision(about) != revision:
            raise Changed("it was changed meanwhile")

    def _onto_nothing(self, source_folder: int, source: bytes, folder: int, name: bytes) -> None:
        try:
            kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)
        except FileExistsError:
            if not _remove_empty(folder, name):
                raise Changed("there is another under this name meanwhile") from None
            self._forget_folders()
            kernel.rename(source_folder, source, folder, name, kernel.NOREPLACE)

    def _keep_beside(self, temporary: bytes, wanted: str) -> str:
        folder, name = self._parent(wanted, make=True)
        for number in range(1_000):
            stem, dot, extension = name.rpartition(b".")
            mark = b"-%d" % number if number else b""
            other = stem + mark + dot + extension if stem else name + mark
            with contextlib.suppress(FileExistsError):
                kernel.rename(self._incoming, temporary, folder, other, kernel.NOREPLACE)
                return shown(_joined(raw(wanted).rpartition(b"/")[0], other))
        raise Changed("too many conflicts under one name")

    def _to_versions(self, folder: int, name: bytes, old: os.stat_result) -> Replaced:
        place = sortable_id().encode()
        kernel.rename(folder, name, self._versions, place, kernel.NOREPLACE)
        return Replaced(place.decode(), "", old.st_size, old.st_mtime_ns)

    def _prune(self, folder: bytes) -> None:
        """Folders that are empty now, upward."""
        while folder:
            above, _, name = folder.rpartition(b"/")
            try:
                os.rmdir(name, dir_fd=self._folder(above))
            except OSError:
                return
            self._forget_folders()
            folder = above

    def _open(self, path: str) -> int:
        folder, name = self._parent(path)
        return os.open(name, _READ, dir_fd=folder)

    def _stat(self, path: bytes) -> os.stat_result | None:
        above, _, name = path.rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self._folder(above), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise

    def _parent(self, path: str, *, make: bool = False) -> tuple[int, bytes]:
        above, _, name = raw(path).rpartition(b"/")
        return self._folder(above, make=make), name

    def _folder(self, path: bytes, *, make: bool = False) -> int:
        """A descriptor of it, which this storage closes. Those of the last ones are kept, and checked at each use."""
        if not path:
            return self._root
        known = self._folders.get(path)
        if known is not None:
            if os.fstat(known).st_nlink and self._is_still(path, known):
                self._folders.move_to_end(path)
                return known
            self._forget_folders()
        above, _, name = path.rpartition(b"/")
        parent = self._folder(above, make=make)
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent)
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
        self._folders[path] = descriptor
        while len(self._folders) > _MOST_OPEN:
            os.close(self._folders.popitem(last=False)[1])
        return descriptor

    def _is_still(self, path: bytes, descriptor: int) -> bool:
        try:
            now = os.lstat(_joined(self.root, path))
        except OSError:
            return False
        then = os.fstat(descriptor)
        return (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)

    def _forget_folders(self) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1])

    def close(self) -> None:
        self._forget_folders()
        os.close(self._root)


def _copy(source: int, target: int, content: Content, block_size: int, pace: Callable[[int], None]) -> None:
    digest = blake3(max_threads=blake3.AUTO) if content.size >= LARGE else blake3()
    done = _take_up(source, target, content, digest)
    while block := os.read(source, block_size):
        digest.update(block)
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]
        done += len(block)
        pace(done)
        if done > content.size:
            break
    if done != content.size or digest.hexdigest() != content.hash:
        raise SourceChanged("the source has changed meanwhile")


def _take_up(source: int, target: int, content: Content, digest: "blake3") -> int:
    """Hash what an earlier try left behind and go on there: the sum at the end tells whether that was right."""
    there = os.fstat(target).st_size
    if not there:
        return 0
    if there > content.size or there < LARGE:
        os.ftruncate(target, 0)
        return 0
    while block := os.read(target, BLOCK):
        digest.update(block)
    os.lseek(source, there, os.SEEK_SET)
    return there


def _hash_of(descriptor: int, size: int) -> str:
    digest = blake3(max_threads=blake3.AUTO) if size >= LARGE else blake3()
    while block := os.read(descriptor, 4 * BLOCK if size >= LARGE else BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _remove_empty(folder: int, name: bytes) -> bool:
    """A folder that holds nothing but empty folders gives way to a file."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return False
    try:
        for inner in os.listdir(descriptor):  # noqa: PTH208 - a descriptor
            if not _remove_empty(descriptor, os.fsencode(inner)):
                return False
    finally:
        os.close(descriptor)
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _unfit(mode: int, path: bytes) -> str | None:
    if len(path) > LONGEST_PATH:
        return "its path is too long"
    if stat.S_ISREG(mode):
        return None
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a fifo"), (stat.S_ISSOCK, "a socket"))
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
    return f"{kind} is not synchronised"


def _revision(about: os.stat_result) -> str:
    return f"{about.st_size}.{about.st_mtime_ns}.{about.st_ino}.{about.st_ctime_ns}"


def _same(revision: str, about: os.stat_result) -> bool:
    """Whether it is that one, although renaming it has changed its ctime."""
    return revision.rpartition(".")[0] == _revision(about).rpartition(".")[0]


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
