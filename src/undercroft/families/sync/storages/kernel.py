"""What Linux can do and Python does not call: exchanging two names at once, renaming onto nothing, one sync
for all, beginning to write early."""

import ctypes
import os

NOREPLACE, EXCHANGE = 1, 2
_WRITE = 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def rename(from_folder: int, source: bytes, to_folder: int, target: bytes, flags: int) -> None:
    """renameat2(2) between open folders. Raises OSError: FileExistsError with NOREPLACE where there is something."""
    if _libc.renameat2(from_folder, source, to_folder, target, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(target))


def sync(descriptor: int) -> None:
    """All of the file system that the descriptor is in."""
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def begin_writing(descriptor: int, start: int, length: int) -> None:
    """The disk writes while more comes: less is left to do when this is made durable, which tells what fails."""
    _libc.sync_file_range(descriptor, start, length, _WRITE)
