"""What arrives in a folder of this machine, beside its files until it is whole and gets its name.

An entry is run by one process. One that was paused, or cut off from the database, for longer than its lease may live
on while another node has begun the next one on the same root: neither of them writes into what the other is writing.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from blake3 import blake3

from undercroft.families.sync.operations import Put
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import Changed, is_cut
from undercroft.families.sync.storages.local_content import LARGE

PROCESS = os.urandom(8).hex()
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# Shares whose server keeps no locks, file systems of programs.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class InOtherHands(OSError):
    """Another process is writing it. That may take it hours, so it is no `Changed`, which is tried again at once."""


class Arrivals:
    """For one thread.

    What is small is never gone on with: its name has a part that is this process's own. What is large has the same
    name in every process, so that the next one goes on with it. It is its who holds its lock, from before it is looked
    at until it has its own name or is given up: so long nobody else takes its temporary name away. A lock goes with
    its process.
    """

    def __init__(self, folder: Callable[[], int]) -> None:
        """`folder`: its descriptor; another one where it was made anew."""
        self._folder = folder
        self._own = b"-" + PROCESS.encode()
        self._held: dict[bytes, int] = {}

    @contextlib.contextmanager
    def writing(self, put: Put) -> Iterator[tuple[bytes, int]]:
        """The temporary name, and a descriptor to write to, or to go on with. What is large stays locked until it is
        let go, unless it fails. Raises InOtherHands, or Changed where another process has just given it its name."""
        name, target = self._begin(put)
        try:
            yield name, target
        except BaseException as error:
            if not is_cut(error) or os.fstat(target).st_size < LARGE:  # it would only take room, which may be the fault
                self.discard(name)
            self._held.pop(name, None)
            raise
        finally:
            if name not in self._held:
                os.close(target)

    def _begin(self, put: Put) -> tuple[bytes, int]:
        name = b"%b-%b" % (blake3(put.path.encode()).hexdigest(8).encode(), put.content.hash[:40].encode())
        if put.content.size >= LARGE:
            try:
                self._held[name] = _locked(self._folder(), name, _WRITE)
                return name, self._held[name]
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        own = name + self._own
        return own, os.open(own, _WRITE, 0o600, dir_fd=self._folder())

    def make_durable(self, names: list[bytes]) -> None:
        """Few files one by one, many with all else of the file system. Where that fails, none of them stays: what was
        not written would be found as though it were."""
        try:
            if len(names) > 4:
                kernel.sync(self._folder())
            else:
                self._sync(names)
        except BaseException:
            for name in names:
                self.discard(name)
                self.let_go(name)
            raise

    def _sync(self, names: list[bytes]) -> None:
        for name in names:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder())
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def discard(self, name: bytes) -> None:
        """Nobody goes on with it. Who holds it takes no other's away that has its name by now."""
        held = self._held.get(name)
        with contextlib.suppress(OSError):
            if held is None or _leads_to(self._folder(), name, held):
                os.unlink(name, dir_fd=self._folder())

    def let_go(self, name: bytes) -> None:
        """It has its own name, or waits to be gone on with."""
        if name in self._held:
            os.close(self._held.pop(name))

    def forget_those_of_others(self) -> None:
        """What is small and of another process is of none: that was killed, or its work is this one's by now."""
        folder = self._folder()
        for name in os.listdir(folder):  # noqa: PTH208 - a descriptor
            if _is_small(name) and not name.endswith(self._own.decode()):
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(name, dir_fd=folder)

    def forget_old(self, older_than: float) -> None:
        """What began to arrive and was never finished, in seconds; not what another process is writing."""
        folder = self._folder()
        for name in os.listdir(folder):  # noqa: PTH208 - a descriptor
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                about = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if about.st_ctime < time.time() - older_than:
                    _forget(folder, name)

    def close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])


def _is_small(name: str) -> bool:
    return name.count("-") == 2


def _forget(folder: int, name: str) -> None:
    lock = None
    try:
        lock = None if _is_small(name) else _locked(folder, os.fsencode(name), _WRITE & ~os.O_CREAT)
    except (InOtherHands, Changed):
        return
    except OSError:
        pass  # it is no file, or nothing is locked here
    try:
        os.unlink(name, dir_fd=folder)
    finally:
        if lock is not None:
            os.close(lock)


def _locked(folder: int, name: bytes, flags: int) -> int:
    """A descriptor of what has the name, which nobody else holds. Raises InOtherHands where somebody does, Changed
    where somebody just did: what was opened may have got its own name meanwhile."""
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InOtherHands("another process of this entry is writing it") from None
        if not _leads_to(folder, name, descriptor):
            raise Changed("another process of this entry has just written it")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _leads_to(folder: int, name: bytes, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
