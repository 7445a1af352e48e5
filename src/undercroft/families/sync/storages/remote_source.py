"""Content on its way from a drive, or to it."""

import io
from collections.abc import Iterator
from typing import BinaryIO

from undercroft.families.sync.storages.drive import Drive, Reading, Stat
from undercroft.families.sync.storages.errors import SourceChanged, SourceLost, Vanished
from undercroft.families.sync.storages.storage import Pace


class RemoteSource(io.RawIOBase):
    """A file of a drive, opened at the first read: `seek` before that says where."""

    def __init__(self, drive: Drive, name: str) -> None:
        self._drive = drive
        self._name = name
        self._start = 0
        self._reading: Reading | None = None
        self._blocks: Iterator[bytes]
        self._left = b""

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self._reading is not None or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("this source is read from where it was opened")
        self._start = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes. Raises SourceLost where it can't be read now, SourceChanged where it is no more."""
        try:
            if self._reading is None:
                self._open()
            while not self._left:
                block = next(self._blocks, None)
                if block is None:
                    return b""
                self._left = bytes(block)
        except FileNotFoundError:
            raise SourceChanged("the source is not there any more") from None
        except (OSError, UnicodeEncodeError, Vanished) as error:
            raise SourceLost(f"the source can't be read at this moment: {error}") from None
        if size < 0 or size >= len(self._left):
            block, self._left = self._left, b""
        else:
            block, self._left = self._left[:size], self._left[size:]
        return block

    @property
    def stat(self) -> Stat | None:
        """Of what is read; None before the first read."""
        return None if self._reading is None else self._reading.stat

    def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.__exit__(None, None, None)
        super().close()

    def _open(self) -> None:
        self._reading = self._drive.open(self._name, self._start)
        self._reading.__enter__()
        self._blocks = self._reading.blocks()


class Paced:
    """A file that tells how far it has been read, and is read no quicker than its pace allows."""

    def __init__(self, file: BinaryIO, pace: Pace) -> None:
        self._file = file
        self._pace = pace

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if block:
            self._pace(self._file.tell())
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
