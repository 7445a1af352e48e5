"""A file of this machine, open to be copied from."""

import errno
import io
import os

from undercroft.families.sync.storages.errors import SourceChanged, SourceLost

# Nothing of that name, or something that is no file, or a link.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class LocalSource(io.FileIO):
    """What can't be read here (a disk that fails, a share whose server is gone) may be read from another entry."""

    def read(self, size: int | None = -1) -> bytes:
        """Up to so many bytes. Raises SourceLost."""
        try:
            return super().read(size)
        except OSError as error:
            raise lost(error) from None


def opened(descriptor: int) -> LocalSource:
    """Closes it where that fails. Raises OSError."""
    try:
        return LocalSource(descriptor)
    except BaseException:  # a folder's
        os.close(descriptor)
        raise


def lost(error: OSError) -> SourceChanged:
    """What an error of opening or reading means."""
    if error.errno in _GONE:
        return SourceChanged(f"the source is no file any more: {error.strerror}")
    return SourceLost(f"the source can't be read at this moment: {error.strerror}")
