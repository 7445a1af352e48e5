"""Open folders below a root: no link is followed on the way, wherever it is."""

import contextlib
import errno
import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from undercroft.families.sync.names import raw, shown
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import InTheWay, Vanished
from undercroft.families.sync.storages.others_roots import MARK, others_roots

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 64
_IN_THE_WAY = "a file or a link has the name of a folder above it"


class _Folder(NamedTuple):
    descriptor: int
    device: int
    inode: int


class Folders:
    """For one thread: those of the last steps are remembered."""

    def __init__(self, root: str) -> None:
        """Raises Vanished."""
        self.path = os.fsencode(Path(root).absolute())
        self.others = others_roots(shown(self.path))
        self._open: OrderedDict[bytes, _Folder] = OrderedDict()
        try:
            self.root = os.open(self.path, FOLDER)
        except OSError as error:
            raise Vanished(f"the root {root} can't be opened: {error.strerror}") from None

    def at(self, path: bytes, *, make: bool = False) -> int:
        """A descriptor of it, which this storage closes. Those of the last ones are kept, and checked at each use."""
        if not path:
            return self.root
        known = self._open.get(path)
        if known is not None:
            if self._is_still(path, known):
                self._open.move_to_end(path)
                return known.descriptor
            os.close(self._open.pop(path).descriptor)
        descriptor = _reach(self.root, path, FOLDER, make=make)
        about = os.fstat(descriptor)
        self._open[path] = _Folder(descriptor, about.st_dev, about.st_ino)
        while len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1].descriptor)
        return descriptor

    def nearest(self, path: bytes) -> int:
        """As `at`; where it is gone, of the folder above that is there: its end is written in that one."""
        while path:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return self.at(path)
            path = path.rpartition(b"/")[0]
        return self.root

    def parent(self, path: str, *, make: bool = False) -> tuple[int, bytes]:
        """Of what is to be changed. Raises LeftAlone."""
        self.require_apart(path)
        above, _, name = raw(path).rpartition(b"/")
        return self.at(above, make=make), name

    def open(self, path: str) -> int:
        """To read it, in one step: the folders on the way need not be open."""
        return _reach(self.root, raw(path), READ)

    def stat(self, path: bytes) -> os.stat_result | None:
        above, _, name = path.rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self.at(above), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise

    def require_apart(self, path: str) -> None:
        """Before it is changed. Raises LeftAlone."""
        self.others.require_apart(path, self.is_marked)

    def is_marked(self, folder: str) -> bool:
        """Whether it is a root of another's. Where its mark may not be looked for it is somebody's."""
        try:
            about = self.stat(joined(raw(folder), MARK.encode()))
        except OSError:
            return True
        return about is not None and stat.S_ISREG(about.st_mode)

    def prune(self, folder: bytes) -> None:
        """Folders that are empty now, upward."""
        while folder:
            above, _, name = folder.rpartition(b"/")
            try:
                os.rmdir(name, dir_fd=self.at(above))
            except OSError:
                return
            self.forget()
            folder = above

    def forget(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    def _is_still(self, path: bytes, known: _Folder) -> bool:
        """While it is open, no other folder can have its number."""
        try:
            there = _reach(self.root, path, _PLACE)
        except OSError:
            return False
        now = os.fstat(there)
        os.close(there)
        return (now.st_dev, now.st_ino) == (known.device, known.inode)

    def close(self) -> None:
        self.forget()
        os.close(self.root)


def _reach(root: int, path: bytes, flags: int, *, make: bool = False) -> int:
    """What is below, opened: a folder, or a file that is not to be made. Raises NotADirectoryError for a link on the
    way, InTheWay where a folder is to be made."""
    try:
        return kernel.open_beneath(root, path, flags)
    except FileNotFoundError:
        if not make:
            raise
    except NotADirectoryError:
        if make:
            raise InTheWay(_IN_THE_WAY) from None
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _step_by_step(root, path, flags, make=make)


def _step_by_step(root: int, path: bytes, flags: int, *, make: bool) -> int:
    """Where folders have to be made; and for kernels, and what confines processes, that know no openat2."""
    above = os.dup(root)
    *way, last = path.split(b"/")
    for name, how in (*((name, FOLDER) for name in way), (last, flags)):
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=above)
            below = os.open(name, how, dir_fd=above)
        except NotADirectoryError:
            if make:
                raise InTheWay(_IN_THE_WAY) from None
            raise
        finally:
            os.close(above)
        above = below
    return above


def remove_empty(folder: int, name: bytes) -> bool:
    """A folder that holds nothing but empty folders gives way to a file."""
    try:
        descriptor = os.open(name, FOLDER, dir_fd=folder)
    except OSError:
        return False
    try:
        for inner in os.listdir(descriptor):  # noqa: PTH208 - a descriptor
            if not remove_empty(descriptor, os.fsencode(inner)):
                return False
    finally:
        os.close(descriptor)
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError:
        return False
    return True


def mode_of(folder: int, name: bytes) -> int:
    """Of what is there; 0 for nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
