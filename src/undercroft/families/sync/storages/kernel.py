"""What Linux can do and Python does not call: exchanging two names at once, renaming onto nothing, opening
what is below a folder without a link on the way, one sync for all, beginning to write early."""

import ctypes
import errno
import functools
import os
import struct

NOREPLACE, EXCHANGE = 1, 2
_WRITE = 2
_libc = ctypes.CDLL(None, use_errno=True)
# The number is that of every architecture; no_symlinks, beneath: linux/openat2.h.
_OPENAT2, _NO_SYMLINKS, _BENEATH = 437, 4, 8
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_libc.syscall.restype = ctypes.c_long
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def rename(from_folder: int, source: bytes, to_folder: int, target: bytes, flags: int) -> None:
    """renameat2(2) between open folders. Raises OSError: FileExistsError with NOREPLACE where there is something."""
    if _libc.renameat2(from_folder, source, to_folder, target, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(target))


def open_beneath(folder: int, path: bytes, flags: int) -> int:
    """openat2(2) (Linux 5.6): what the path leads to, below the folder. Raises OSError: NotADirectoryError where there
    is a link on the way."""
    how = _how(flags)
    descriptor: int = _libc.syscall(_OPENAT2, folder, path, how, len(how))
    if descriptor < 0:
        number = ctypes.get_errno()
        number = errno.ENOTDIR if number == errno.ELOOP else number
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return descriptor


@functools.cache
def _how(flags: int) -> bytes:
    return struct.pack("QQQ", flags, 0, _NO_SYMLINKS | _BENEATH)


def sync(descriptor: int) -> None:
    """All of the file system that the descriptor is in."""
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def begin_writing(descriptor: int, start: int, length: int) -> None:
    """The disk writes while more comes: less is left to do when this is made durable, which tells what fails."""
    _libc.sync_file_range(descriptor, start, length, _WRITE)
